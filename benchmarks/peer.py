"""The same evidence from aftertune and from LM-Polygraph 0.7.0, on the same model files and prompts.

Both decode greedily with log-probability and entropy of every token, and both decode a number of samples from
which CoCoA could be computed. The peer's samples are multinomial draws, aftertune's are greedy decodes under
dropout; the same number is decoded on both sides, and neither compares texts here. The peer runs in a process of
its own, in its own environment, and stays alive, so that the two sides take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bare import SAMPLES
from benchmarks.cache import cache_folder
from benchmarks.measure import Reading, ratio, raw, rounds
from benchmarks.ours import Ours
from benchmarks.plan import Plan
from benchmarks.prompts import batches
from benchmarks.row import Row
from benchmarks.subjects import Subject

TARGET = 2.0
DEFAULT_SAMPLES = 10
ROOM = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the peer is set.

    Attributes
    ----------
    attention : implementation; attentions can only be had from "eager".
    samples : decoded on both sides.
    """

    words: str
    attention: str
    attentions: bool
    hidden_states: bool
    samples: int
    target: float | None


def settings(subject: Subject) -> tuple[Setting, ...]:
    """Like for like first, then the peer's defaults; it crashes with attentions on T5 (transformers 5)."""
    causal = not subject.model.config.is_encoder_decoder
    both = (
        Setting(
            words="attentions and hidden states off",
            attention="sdpa",
            attentions=False,
            hidden_states=False,
            samples=SAMPLES,
            target=TARGET,
        ),
        Setting(
            words="its defaults" if causal else "its defaults, attentions off",
            attention="eager" if causal else "sdpa",
            attentions=causal,
            hidden_states=True,
            samples=DEFAULT_SAMPLES,
            target=None,
        ),
    )
    return both[:1] if subject.natural else both


def make_environment() -> str:
    """Interpreter of the peer's environment, which is made at first use."""
    folder = cache_folder() / "peer"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing LM-Polygraph into {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pinned = ["-r", str(ROOM / "requirements-peer.txt")]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pinned], check=True)
        complete.touch()
    return str(python)


def measure(subject: Subject, plan: Plan, python: str) -> tuple[list[Row], dict[str, Any]]:
    ours = Ours(subject.model, subject.tokenizer, subject.prompts, subject.dropout)
    rows, readings = [], {}
    with tempfile.TemporaryDirectory() as folder:
        subject.model.save_pretrained(folder)
        subject.tokenizer.save_pretrained(folder)
        for setting in settings(subject):
            with _peer(python, Path(folder), subject, setting, plan) as ask:
                found, answers = _side_by_side(ours, ask, subject, setting, plan)
            one = ratio(found, ["peer"], ["ours"])
            rows.append(_row(subject, setting, one, answers))
            readings[setting.words] = raw(found)
    return rows, readings


def _side_by_side(
    ours: Ours, ask: Any, subject: Subject, setting: Setting, plan: Plan
) -> tuple[Any, list[dict[str, Any]]]:
    parts = batches(subject.prompts, subject.tokenizer)
    answers: list[dict[str, Any]] = []

    def theirs(tokens: int) -> Reading:
        answers.append(
            ask(
                {
                    "batches": parts,
                    "tokens": tokens,
                    "samples": setting.samples,
                    "attentions": setting.attentions,
                    "hidden_states": setting.hidden_states,
                }
            )
        )
        return Reading(cpu=answers[-1]["cpu"], wall=answers[-1]["wall"])

    warm = min(2, subject.tokens)
    theirs(warm)
    ours.sampled(warm, setting.samples)
    cases = {
        "ours": partial(ours.sampled, subject.tokens, setting.samples),
        "peer": partial(theirs, subject.tokens),
    }
    return rounds(cases, plan.repeats if setting.target else 1), answers


def _row(subject: Subject, setting: Setting, one: Any, answers: list[dict[str, Any]]) -> Row:
    last = answers[-1]
    return Row(
        section="peer",
        case=(
            f"LM-Polygraph ({setting.words}) / ours: log-prob, entropy and {setting.samples} samples, "
            f"{subject.lengths}"
        ),
        model=subject.name,
        value=one.cpu,
        target=setting.target,
        sense="at least",
        ours=one.other,
        other=one.ours,
        wall=one.wall,
        spread=one.spread,
        note=f"the peer decoded {last['greedy_tokens']} greedy and {last['sample_tokens']} sampled tokens",
    )


@contextmanager
def _peer(python: str, folder: Path, subject: Subject, setting: Setting, plan: Plan) -> Iterator[Any]:
    kind = "Seq2SeqLM" if subject.model.config.is_encoder_decoder else "CausalLM"
    command = [python, str(ROOM / "peer_process.py"), str(folder), kind, str(plan.threads), setting.attention]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
        )
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            print(json.dumps(request), file=process.stdin, flush=True)
            line = process.stdout.readline()  # pyright: ignore[reportOptionalMemberAccess]
            if not line:
                errors.seek(0)
                raise RuntimeError(f"the peer's process ended:\n{errors.read()[-3000:]}")
            return json.loads(line)

        try:
            yield ask
        finally:
            process.stdin.close()
            process.wait(timeout=60)
