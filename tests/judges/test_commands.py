"""`audit` and `run` with a judge behind an API, on a local server: what is said, sent, kept and paid for."""

from __future__ import annotations

import errno
import json
import re
import socket

import pytest
import torch

import aftertune
from aftertune.cli.main import main
from aftertune.errors import InputError
from aftertune.judges.api import OTHER_KEY, Endpoint
from aftertune.judges.cost import PRICE
from aftertune.measure.reporter import Reporter
from aftertune.models.load import load, save
from aftertune.study import training as running
from aftertune.study.config import StudyConfig
from drawing import without_drawing
from samples import make_bench, study, write_study
from tiny import SEED

from .conftest import Reply

NOTE = re.compile(
    r"judge openai:some-model: (.+), at most ([\d,]+) calls?, about ([\d,]+) input and ([\d,]+) output tokens "
    rf"\(answers that are empty or judged already cost nothing; set {PRICE} to see dollars\)"
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """llama, tuned (it with noise), and 24, 8 and 12 items."""
    folder = make_bench(tmp_path_factory.mktemp("bench"), "llama", test=12)
    loaded = load(folder / "llama")
    draw = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=draw)
    save(loaded, folder / "tuned")
    return folder


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    without_drawing(monkeypatch)


class Told(Reporter):
    """Everything in order: notes, and stages of work."""

    def __init__(self, server):
        self.notes, self.order, self.server = [], [], server

    def note(self, text):
        self.notes.append(text)
        self.order.append((text, len(self.server.requests)))

    def stage(self, text, total):
        self.order.append((f"stage {text}", len(self.server.requests)))

    def costs(self):
        """(words, calls, input tokens, output tokens) of the notes on the whole command."""
        matches = [match for match in map(NOTE.fullmatch, self.notes) if match]
        return [(m[1], *(int(m[i].replace(",", "")) for i in (2, 3, 4))) for m in matches]

    def sums(self):
        """Calls and input tokens of the notes on single checkpoints."""
        found = [re.search(r": ([\d,]+) calls?.*, about ([\d,]+) input and at most", note) for note in self.notes]
        return [sum(int(m[i].replace(",", "")) for m in found if m) for i in (1, 2)]


def spec(server):
    return f"openai:some-model@{server.url}/v1"


def offline(*arguments, **settings):
    raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def in_turn(n, prompt):
    return Reply(text="No" if n % 2 else "Yes")


def audit(bench, out, server, **changes):
    settings = {"input": "q", "target": "answer", "template": "{q} =", "max_new_tokens": 14, "beams": 0,
                "dropout": "none", "resamples": 200, "judge": spec(server)}  # fmt: skip
    told = Told(server)
    result = aftertune.audit(
        bench / "llama", bench / "tuned", data=bench / "test.jsonl", validation=bench / "validation.jsonl",
        out=out, reporter=told, **(settings | changes),
    )  # fmt: skip
    return result, told


class TestAudit:
    def test_cost_before_it_is_spent(self, bench, server, tmp_path, monkeypatch):
        server.respond = in_turn
        result, told = audit(bench, tmp_path / "run", server)
        ((words, calls, tokens, output),) = told.costs()
        assert (words, calls, output) == ("2 checkpoints × 20 answers", 40, 40 * 16)
        first = next(i for i, (text, _) in enumerate(told.order) if NOTE.fullmatch(text))
        stage = next(i for i, (text, _) in enumerate(told.order) if text.startswith("stage "))
        assert first < stage  # before models are looked at, and before anything is sent
        assert told.order[first][1] == 0
        sent, about = told.sums()
        assert sent == len(server.requests) <= calls
        assert about <= tokens
        assert {*result.records.correct} == {True, False}
        # Again: everything is judged, nothing will be sent, and nothing is said about cost; nor is a key or a
        # connection needed.
        monkeypatch.delenv(OTHER_KEY)
        monkeypatch.setattr(socket, "create_connection", offline)
        again, told = audit(bench, tmp_path / "run", server)
        assert told.costs() == []
        assert [*again.records.correct] == [*result.records.correct]
        assert len(server.requests) == sent

    def test_what_is_there_already_is_not_counted(self, bench, server, tmp_path):
        """Stopped while the second checkpoint is judged: only what is left of it."""
        first_answers = 12 + 8
        server.respond = lambda n, prompt: in_turn(n, prompt) if n < first_answers - 6 else Reply(status=400)
        with pytest.raises(InputError, match="gives no answer: HTTP 400"):
            audit(bench, tmp_path / "run", server)
        server.requests.clear()
        server.respond = in_turn
        _, told = audit(bench, tmp_path / "run", server)
        ((_, calls, _, _),) = told.costs()
        assert len(server.requests) <= calls < 40 - 10

    def test_of_a_known_model(self, bench, server, tmp_path, monkeypatch):
        """Dollars, where a price is set; stopped before anything is sent."""
        told = Told(server)
        monkeypatch.setattr(Endpoint, "check", lambda endpoint: None)
        monkeypatch.setenv(PRICE, "3/15")
        monkeypatch.setattr(told, "stage", lambda text, total: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            aftertune.audit(
                bench / "llama", bench / "tuned", data=bench / "test.jsonl", input="q", target="answer",
                judge="anthropic:claude-sonnet-4-5", out=tmp_path / "run", reporter=told, dropout="none",
            )  # fmt: skip
        (note,) = [note for note in told.notes if note.startswith("judge ")]
        assert note.startswith("judge anthropic:claude-sonnet-4-5: 2 checkpoints × 12 answers, at most 24 calls, ")
        assert re.search(r"output tokens, at most about \$0\.0\d \(answers that are empty or .* nothing\)$", note)

    def test_abstains_on_everything(self, bench, server, tmp_path, capsys):
        """One line, exit code 2; what it said is kept, and asking it again costs nothing."""
        server.respond = lambda n, prompt: Reply(text="I cannot\n\x1b[31mtell\x1b[0m [bold]" + "!" * 100)
        arguments = ["audit", bench / "llama", bench / "tuned", "--data", bench / "test.jsonl", "--input", "q",
                     "--target", "answer", "--template", "{q} =", "--max-new-tokens", "14", "--beams", "0",
                     "--dropout", "none", "--judge", spec(server), "--out", tmp_path / "run"]  # fmt: skip
        for _ in range(2):
            assert main([str(argument) for argument in arguments]) == 2
            out, err = capsys.readouterr()
            assert out == ""
            last = err.splitlines()[-1]
            assert last.startswith(
                "aftertune: tuned · test · seed 0 · before fine-tuning: the judge openai:some-model "
            )
            assert re.search(
                r"abstained on all \d+ answers \(the judge said 'I cannot \\x1b\[31mtell\\x1b\[0m \[bold\]!+…' "
                r"instead of Yes or No\): take another judge, or rule, which needs nothing; what it said is "
                rf"kept in {tmp_path}/run/judgements$",
                last,
            )
            assert "\x1b" not in err
        assert 1 <= len(server.requests) <= 12
        assert len(list((tmp_path / "run" / "judgements").rglob("*.json"))) == len(server.requests)
        assert list((tmp_path / "run").glob("evidence/*/all*"))
        assert not (tmp_path / "run" / "report.html").exists()

    def test_a_judge_that_is_down(self, bench, server, down, tmp_path):
        """Said before anything is decoded."""
        address = f"http://127.0.0.1:{down}/v1"
        with pytest.raises(
            InputError, match=f"openai:m cannot be reached at {address}: connection refused; nothing"
        ):
            audit(bench, tmp_path / "run", server, judge=f"openai:m@{address}")
        assert not (tmp_path / "run").exists()

    def test_a_metric_that_cannot_read_the_references(self, bench, tmp_path):
        """Said before anything is decoded."""
        with pytest.raises(InputError, match=r"has no number, which exact_match compares"):
            aftertune.audit(
                bench / "llama", bench / "tuned", task="toy_qa", judge="exact_match", out=tmp_path / "run"
            )
        assert not (tmp_path / "run").exists()

    def test_an_abstention_is_in_the_report(self, bench, server, tmp_path):
        server.respond = lambda n, prompt: Reply(text="<b>Hm</b>") if n == 0 else in_turn(n, prompt)
        result, _ = audit(bench, tmp_path / "run", server)
        (silent,) = {i for i, why in enumerate(result.records.extra["abstention"]) if why is not None}
        assert result.records.correct[silent] is None
        notes = [note for note in result.analysis.notes if "abstained" in note and "example" in note]
        assert notes == [
            "tuned / test, test items: the judge abstained on 1 of 12 answers at epoch 0; for example, the judge "
            "said '<b>Hm</b>' instead of Yes or No"
        ]


@pytest.fixture
def content(bench, server):
    content = study(
        bench,
        "llama",
        epochs=1,
        by_epoch=False,
        evaluation={"beams": 0, "dropout_samples": 0},
        seeds=[SEED, SEED + 1],
    )
    content["models"][0]["dropout"] = "none"
    content["tasks"][0]["judge"] = spec(server)
    return content


class TestRun:
    def test_cost_before_it_is_spent(self, content, server, tmp_path, monkeypatch):
        """Before fine-tuning (once for both seeds) and epoch 1 of each."""
        trained = []
        train = running.finetune
        monkeypatch.setattr(running, "finetune", lambda *a, **k: trained.append(1) or train(*a, **k))
        server.respond = in_turn
        told = Told(server)
        told.note = lambda text, note=told.note: (note(text), told.order.append((f"{len(trained)} trained", 0)))
        aftertune.run(StudyConfig.model_validate(content), out=tmp_path / "run", reporter=told)
        ((words, calls, tokens, output),) = told.costs()
        assert (words, calls, output) == ("3 checkpoints × 20 answers", 60, 60 * 16)
        assert NOTE.fullmatch(told.order[0][0])
        assert told.order[:2] == [(told.order[0][0], 0), ("0 trained", 0)]
        sent, about = told.sums()
        assert sent == len(server.requests) <= calls
        assert about <= tokens
        told = Told(server)
        monkeypatch.delenv(OTHER_KEY)
        monkeypatch.setattr(socket, "create_connection", offline)
        aftertune.run(StudyConfig.model_validate(content), out=tmp_path / "run", reporter=told)
        assert told.costs() == []

    def test_what_early_stopping_may_select_counts(self, content, server, tmp_path, capsys, monkeypatch):
        """Before, epoch 1, and one of epochs 2 to 4, in a plan; no key is needed, nothing sent or written."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv(OTHER_KEY)
        content["experiments"]["before_after"] = {"epochs": 4, "patience": 1}
        write_study(tmp_path / "study.yaml", content)
        assert main(["run", "study.yaml", "--dry-run"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "Judge openai:some-model: 5 checkpoints × 20 answers, at most 100 calls, about " in said
        assert f"set {PRICE} to see dollars" in said
        assert server.requests == []
        assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]

    def test_a_judge_that_is_down(self, content, down, tmp_path):
        """Said before anything is trained."""
        content["tasks"][0]["judge"] = f"openai:m@http://127.0.0.1:{down}/v1"
        with pytest.raises(InputError, match="openai:m cannot be reached at .*: connection refused; nothing was"):
            aftertune.run(StudyConfig.model_validate(content), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_metric_that_cannot_read_the_references(self, content, tmp_path):
        """Said before anything is trained."""
        content["tasks"] = [{"name": "toy_qa", "judge": "exact_match"}]
        with pytest.raises(InputError, match="has no number, which exact_match compares"):
            aftertune.run(StudyConfig.model_validate(content), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_plan_without_a_judge_that_costs(self, content, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for judge in ("rule", "none", "auto"):
            content["tasks"][0]["judge"] = judge
            write_study(tmp_path / "study.yaml", content)
            assert main(["run", "study.yaml", "--dry-run"]) == 0
            assert "judge" not in capsys.readouterr().out.lower()

    def test_abstains_on_everything(self, content, server, tmp_path):
        """After training, which is kept: another judge trains nothing."""
        server.respond = lambda n, prompt: Reply(text="Maybe")
        config = StudyConfig.model_validate(content)
        with pytest.raises(
            InputError, match=rf"^llama · turn · seed {SEED} · before fine-tuning: the judge openai:some-"
        ):
            aftertune.run(config, out=tmp_path / "run", reporter=Told(server))
        n = len(server.requests)
        assert 1 <= n <= 12
        (history,) = (tmp_path / "run").glob("training/*/history.json")
        before = json.loads(history.read_text())
        content["tasks"][0]["judge"] = "rule"
        aftertune.run(StudyConfig.model_validate(content), out=tmp_path / "run")
        assert json.loads(history.read_text()) == before
        assert len(server.requests) == n
