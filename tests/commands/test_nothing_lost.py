"""A run survives: killed anywhere, damaged in any file, begun several times at once, on a machine that is short.

Every test runs the commands themselves on the embedded models. `nightly` has every point; what runs each time is a
sample of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aftertune.files.inventory import JOURNAL
from aftertune.models import embedded
from aftertune.tasks import TASKS, Sizes
from crashes import Command, Done, command, start
from samples import write_jsonl

KINDS = ("audit", "run", "analyze")
UNFINISHED = re.compile(r"\..*\.tmp|\.owner\.json|files\.jsonl|part-.*")
LITTER = re.compile(UNFINISHED.pattern + "|damaged")
STUDY = {
    "name": "small",
    "models": [
        {"name": "t5", "path": "embedded:tiny-t5-qa", "learning_rate": 1e-3, "dropout": "residual:0.1"},
    ],
    "tasks": [{"name": "toy_qa", "judge": "token_f1", "max_new_tokens": 4}],
    "seeds": [0],
    "sizes": {"train": 16, "validation": 10, "test": 12},
    "experiments": {"before_after": {"epochs": 2, "patience": None}},
    "evaluation": {"batch_size": 6, "beams": 2, "dropout_samples": 2},
    "keep_checkpoints": "selected",
    "resamples": 200,
}
AUDIT = [
    *("audit", "embedded:tiny-t5-qa", "embedded:tiny-t5-sums", "--allow-other-base", "--task", "toy_qa"),
    *("--items", 12, "--beams", 2, "--dropout-samples", 2, "--dropout", "residual:0.1"),
    *("--max-new-tokens", 4, "--batch-size", 6, "--resamples", 200),
]


THOROUGH = pytest.mark.thorough


class _Judge(BaseHTTPRequestHandler):
    """Says "Yes" to half of all questions, to the same ones each time."""

    def log_message(self, *args) -> None: ...

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        said = {"role": "assistant", "content": "Yes" if hashlib.sha256(asked).digest()[0] % 2 else "No"}
        choice = {"index": 0, "finish_reason": "stop", "message": said}
        reply = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """Where the folders lie; with items, and judge.txt, the address of a judge that answers meanwhile."""
    place = tmp_path_factory.mktemp("lost")
    splits = TASKS.get("toy_qa").load(sizes=Sizes(train=16, validation=10, test=12))
    for name, items in (("test", splits.test), ("validation", splits.validation), ("train", splits.train)):
        rows = [{"id": one.id, "asked": one.prompt, "answers": list(one.references)} for one in items]
        write_jsonl(place / f"{name}.jsonl", rows)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    (place / "judge.txt").write_text(f"openai:m@http://127.0.0.1:{http.server_address[1]}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield place
    http.shutdown()
    http.server_close()
    thread.join()


def arguments(place: Path, kind: str, out: Path) -> list[object]:
    """The command of a kind, into `out`."""
    if kind == "judged audit":
        judge = (place / "judge.txt").read_text()
        own = ["--data", place / "test.jsonl", "--validation", place / "validation.jsonl"]
        own += ["--train", place / "train.jsonl", "--input", "asked", "--target", "answers", "--judge", judge]
        small = [one for one in AUDIT if one not in ("--task", "toy_qa")]
        return [*small, "--dropout", "auto", *own, "--out", out]
    if kind == "audit":
        return [*AUDIT, "--out", out]
    if kind == "run":
        study = place / "study.yaml"
        study.write_text(json.dumps(STUDY), encoding="utf-8")
        return ["run", study, "--out", out]
    return ["analyze", place / "whole-audit", "--resamples", 200, "--out", out]


def whole(place: Path, kind: str) -> tuple[Path, int]:
    """A folder of a run that nothing disturbed, made once; and how many file operations it took."""
    out, count = place / f"whole-{kind}", place / f"{kind}.operations"
    if not count.exists():
        if kind == "analyze":
            whole(place, "audit")
        done = command(arguments(place, kind, out), place, root=out)
        assert done.code == 0, done.text
        count.write_text(str(done.operations))
    return out, int(count.read_text())


def content(folder: Path) -> dict[str, object]:
    """Name → what a file holds, without times, of all that makes a run."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "log.jsonl")]
    ours = [path for path in paths if path.relative_to(folder).parts[0] != "damaged"]
    return {path.relative_to(folder).as_posix(): _timeless(path) for path in ours}


OUT = re.compile(rb"--out [^\s\"<]+")
"""Where a run lies, in the command that makes it again."""


def _timeless(path: Path) -> object:
    text = OUT.sub(b"--out X", path.read_bytes()) if path.suffix in (".json", ".html") else path.read_bytes()
    if path.suffix != ".json":
        return text
    found = json.loads(text)
    if path.name in ("run.json", "run.backup.json"):
        other = ("training/", "summary.json", "report.html")  # times, and where the run lies
        files = {name: None if name.startswith(other) else one for name, one in found["files"].items()}
        return found | {"updated": "", "sha256": "", "files": files}
    if path.name == "history.json":
        return _without(found, "seconds")
    return found


def _without(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(one, name) for key, one in value.items() if key != name}
    return [_without(one, name) for one in value] if isinstance(value, list) else value


def faults(
    folder: Path, original: Path, place: Path, *, litter: re.Pattern[str] = LITTER, but: str = ""
) -> list[str]:
    """What is not as in a run that nothing disturbed; `but`: a room whose files may be fewer."""
    found = [str(p.relative_to(folder)) for p in folder.rglob("*") if litter.fullmatch(p.name)]
    mine, theirs = content(folder), content(original)
    names = [name for name in {*mine, *theirs} if not but or not name.startswith(("run.", but))]
    found += [f"differs: {name}" for name in sorted(names) if mine.get(name) != theirs.get(name)]
    verified = command(["verify", folder], place)
    return found + ([] if verified.code == 0 else [verified.text])


class TestKilled:
    """Killed before a file operation, or at any moment, the same command goes on to the same end."""

    def survives(self, place: Path, kind: str, n: int) -> list[str]:
        original, _ = whole(place, kind)
        out = place / f"killed-{kind}"
        killed = command(arguments(place, kind, out), place, root=out, die_before=n)
        if killed.code != -9:
            return [f"ended with {killed.code}: {killed.text}"]
        again = command(arguments(place, kind, out), place)
        found = [] if again.code == 0 else [f"exit {again.code}: {again.text}"]
        found += faults(out, original, place) if again.code == 0 else []
        shutil.rmtree(out)
        return [f"{kind}, before operation {n}: {one}" for one in found]

    def every(self, place: Path, kind: str, step: int) -> None:
        _, operations = whole(place, kind)
        points = range(1 + random.Random(operations).randrange(step), operations + 1, step)
        found = [fault for n in points for fault in self.survives(place, kind, n)]
        print(f"{kind}: {len(points)} points of {operations}")
        assert not found, "\n".join(found)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kind", "step"), [("audit", 150), pytest.param("run", 300, marks=THOROUGH), ("analyze", 150)]
    )
    def test_sample_of_operations(self, place, kind, step):
        self.every(place, kind, step)

    @pytest.mark.nightly
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_operation(self, place, kind):
        self.every(place, kind, int(os.environ.get("AFTERTUNE_TEST_STEP", "1")))


DAMAGE = ("truncated", "empty", "one bit", "deleted", "renamed field")
FILES = {
    "judged audit": (
        *("records/*.parquet", "evidence/*/all.evidence.parquet", "evidence/*/prompts.parquet"),
        *("evidence/*/dropout.json", "evidence/*/similarity-*.parquet", "dropout/*.json", "items/*.json"),
        *("judgements/*/*.json", "tables/change.csv", "tables/change.md", "tables/change.tex", "figures/*.png"),
        *("figures/*.svg", "report.html", "summary.json", "run.json", "run.backup.json"),
    ),
    "run": (
        *("records/*.parquet", "evidence/*-epoch0-*/all.evidence.parquet"),
        *("evidence/*-epoch[12]-*/all.evidence.parquet", "evidence/*-epoch0-*/prompts.parquet"),
        *("evidence/*/dropout.json", "evidence/*/similarity-*.parquet", "training/*/history.json"),
        *("checkpoints/*/selected/model.safetensors", "checkpoints/*/selected/config.json"),
        *("checkpoints/*/selected/tokenizer.json", "items/*.json", "tables/correlation.csv"),
        *("figures/*.png", "report.html", "summary.json", "run.json", "run.backup.json"),
    ),
}
"""Kind → one pattern for each kind of file."""
SPARE = ("judgements", "checkpoints")
CASES = [
    (kind, pattern, how)
    for kind, patterns in FILES.items()
    for pattern in patterns
    for how in DAMAGE
    if how != "renamed field" or pattern.endswith(".json")
]


def damage(path: Path, how: str) -> None:
    held = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "renamed field":
        name = next(iter(json.loads(held)))
        path.write_bytes(held.replace(json.dumps(name).encode(), json.dumps(f"{name}x").encode(), 1))
    elif how == "one bit":
        at = len(held) // 2
        path.write_bytes(held[:at] + bytes([held[at] ^ 1]) + held[at + 1 :])
    else:
        path.write_bytes(held[: len(held) // 2] if how == "truncated" else b"")


class TestDamaged:
    """A damaged file is noticed, and then made again with a note, or refused in one line."""

    def survives(self, place: Path, kind: str, pattern: str, how: str) -> list[str]:
        original, _ = whole(place, kind)
        out = place / f"damaged-{kind}"
        shutil.copytree(original, out)
        path = sorted(out.glob(pattern))[0]
        damage(path, how)
        found = []
        verified = command(["verify", out], place)
        if verified.code != 1 or path.name not in verified.text:
            found.append(f"verify: exit {verified.code}: {verified.text}")
        again = command(arguments(place, kind, out), place)
        if again.code == 0:
            room = pattern.partition("/")[0]  # what nobody needs again is not made again
            found += faults(out, original, place, litter=UNFINISHED, but=room if room in SPARE else "")
            drawn = "1 file of tables, figures and report was missing or not as written"
            if (
                drawn if room in ("tables", "figures", "report.html", "summary.json") else path.name
            ) not in again.text:
                found.append(f"no note: {again.text}")
        elif again.code != 2 or "Traceback" in again.text:
            found.append(f"exit {again.code}: {again.text}")
        shutil.rmtree(out)
        return [f"{kind}, {pattern} {how}: {one}" for one in found]

    @pytest.mark.slow
    def test_sample_of_files(self, place):
        some = random.Random(0).sample(CASES, 3)
        assert not [fault for case in some for fault in self.survives(place, *case)]

    @pytest.mark.nightly
    @pytest.mark.parametrize("kind", FILES)
    def test_every_file_in_every_way(self, place, kind):
        some = [case for case in CASES if case[0] == kind]
        found = [fault for case in some for fault in self.survives(place, *case)]
        print(f"{kind}: {len(some)} cases")
        assert not found, "\n".join(found)


def until(found: Callable[[], bool], running: Command) -> None:
    """Wait while a command runs until something is there."""
    while not found() and running.runs:
        time.sleep(0.02)


def says(log: Path, text: str, after: str = "") -> bool:
    """Whether a log has a text, after the first place that has another one."""
    return log.exists() and text in log.read_text(encoding="utf-8").partition(after or "{")[2]


@pytest.mark.slow
class TestAtOnce:
    @pytest.mark.parametrize("n", [3, *(pytest.param(n, marks=pytest.mark.nightly) for n in (2, 10))])
    def test_one_of_several_does_the_work(self, place, n):
        original, _ = whole(place, "audit")
        out = place / f"at-once-{n}"
        ran = {one.pid: one.end() for one in [start(arguments(place, "audit", out), place) for _ in range(n)]}
        (winner,) = [pid for pid, done in ran.items() if done.code == 0]
        for pid, done in ran.items():
            if pid != winner:
                assert done.code == 2, done.text
                assert done.text.count("\n") == 1
                assert f"is being written by process {winner} on {socket.gethostname()}" in done.text
        assert faults(out, original, place) == []

    def test_readers_work_while_it_runs_and_say_that_it_is_partial(self, place):
        original, _ = whole(place, "audit")
        out, said = place / "read", set()
        running = start(arguments(place, "audit", out), place)
        until(lambda: says(out / "log.jsonl", "recorded"), running)
        readings = 0
        while running.runs:
            for reader in (["status", out], ["report", out], ["analyze", out, "--out", place / "read-elsewhere"]):
                done = command(reader, place)
                assert done.code == 0 or (done.code == 2 and done.text.count("\n") == 1), done.text
                said |= {word for word in ("running", "PARTIAL", "finished") if word in done.text}
                readings += 1
        done = running.end()
        assert done.code == 0, done.text
        assert "running" in said
        assert [fault for fault in faults(out, original, place) if JOURNAL not in fault] == []

    def test_a_killed_owner_is_taken_over(self, place):
        original, _ = whole(place, "audit")
        out = place / "taken-over"
        running = start(arguments(place, "audit", out), place)
        until(lambda: says(out / "log.jsonl", "decoding"), running)
        running.kill()
        assert running.end().code == -signal.SIGKILL
        assert "audit, interrupted" in command(["status", out], place).text
        again = command(arguments(place, "audit", out), place)
        assert again.code == 0
        assert f"was left by process {running.pid}" in again.text
        assert faults(out, original, place) == []

    @pytest.mark.parametrize(
        ("number", "code", "moment"),
        [
            (signal.SIGTERM, 143, "decoding"),
            pytest.param(signal.SIGTERM, 143, "fine-tuning", marks=THOROUGH),
            pytest.param(signal.SIGINT, 130, "fine-tuning", marks=pytest.mark.nightly),
        ],
    )
    def test_a_signal_stops_it_within_seconds(self, place, number, code, moment):
        original, _ = whole(place, "run")
        out = place / "stopped"
        running = start(arguments(place, "run", out), place)
        until(lambda: says(out / "log.jsonl", moment), running)
        begun = time.monotonic()
        running.kill(number)
        done = running.end()
        assert time.monotonic() - begun < 10
        assert done.code == code, done.text
        assert done.line == "aftertune: stopped; the same command goes on from here"
        assert "Traceback" not in done.text
        assert "run, interrupted" in command(["status", out], place).text
        assert command(arguments(place, "run", out), place).code == 0
        assert faults(out, original, place) == []
        shutil.rmtree(out)

    @THOROUGH
    @pytest.mark.parametrize("times", [1, pytest.param(25, marks=pytest.mark.nightly)])
    @pytest.mark.parametrize("kind", ["audit", "run"])
    def test_killed_at_random_moments(self, place, kind, times):
        original, _ = whole(place, kind)
        begun = time.monotonic()
        command(arguments(place, kind, place / "timed"), place)
        took = time.monotonic() - begun
        shutil.rmtree(place / "timed")
        found = []
        for i in range(times):
            out = place / "random"
            running = start(arguments(place, kind, out), place)
            time.sleep(random.Random(i).uniform(0, took))
            running.kill()
            running.end()
            again = command(arguments(place, kind, out), place)
            found += [f"{i}: exit {again.code}: {again.text}"] if again.code else faults(out, original, place)
            shutil.rmtree(out)
        assert not found, "\n".join(found)


def one_line(done: Done, *words: str) -> None:
    """The command refused, in one line with these words, besides its notes and stages."""
    assert done.code == 2, done.text
    assert "Traceback" not in done.text
    assert done.line.startswith("aftertune: ")
    assert len(done.line) <= 500
    for word in words:
        assert word in done.line, done.line


def largest_file(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def more_memory(size: int) -> None:
    """So much memory more than the process has now."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + size, held + size))


def nobody() -> None:
    os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = "/nonexistent"
    os.setgid(65534)
    os.setuid(65534)


def printing_to_a_full_disk() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


@pytest.mark.slow
class TestMachine:
    """A machine that is short of something is one line, and the same command goes on when it is not."""

    def goes_on(self, place: Path, out: Path, kind: str = "audit") -> None:
        original, _ = whole(place, kind)
        again = command(arguments(place, kind, out), place)
        assert again.code == 0, again.text
        assert faults(out, original, place) == []
        shutil.rmtree(out)

    @pytest.mark.parametrize(
        ("kind", "size"),
        [
            ("audit", 2_000),
            pytest.param("audit", 60_000, marks=THOROUGH),
            pytest.param("run", 100_000, marks=pytest.mark.nightly),
            pytest.param("audit", 5_000, marks=pytest.mark.nightly),
            pytest.param("run", 1_000_000, marks=pytest.mark.nightly),
        ],
    )
    def test_file_size_limit(self, place, kind, size):
        out = place / "limited"
        one_line(command(arguments(place, kind, out), place, first=partial(largest_file, size)), "ulimit -f")
        self.goes_on(place, out, kind)

    @THOROUGH
    @pytest.mark.parametrize("megabytes", [16, 64])
    def test_memory_limit(self, place, megabytes):
        out = place / "short"
        done = command(arguments(place, "audit", out), place, first=partial(more_memory, megabytes << 20))
        if done.code:
            one_line(done, "memory")
        self.goes_on(place, out)

    def test_disk_full(self, place):
        disk = place / "disk"
        disk.mkdir()
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", disk]).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            one_line(command(arguments(place, "audit", disk / "run"), place), "the disk is full")
            subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
            self.goes_on(place, disk / "run")
        finally:
            subprocess.run(["umount", disk], check=True)

    @THOROUGH
    def test_stdout_full(self, place):
        out = place / "printed"
        one_line(command(arguments(place, "audit", out), place, first=printing_to_a_full_disk), "the disk is full")
        self.goes_on(place, out)

    def test_folder_that_cannot_be_written(self, place):
        if os.geteuid():
            pytest.skip("needs root, to become nobody")
        closed = place / "closed"
        closed.mkdir(mode=0o555)
        done = command(arguments(place, "audit", closed / "run"), place, first=nobody)
        one_line(done, str(closed), "--out")
        assert list(closed.iterdir()) == []
        one_line(command(arguments(place, "audit", Path("/dev/full")), place), "/dev/full")
        one_line(command(arguments(place, "audit", Path("/dev/full/run")), place), "/dev/full")

    @THOROUGH
    @pytest.mark.parametrize("moment", ["decoding", "scoring"])
    def test_folder_that_vanishes(self, place, moment):
        out = place / "vanished"
        running = start(arguments(place, "audit", out), place)
        until(lambda: says(out / "log.jsonl", moment), running)
        out.rename(place / "gone")
        one_line(running.end(), str(out))
        shutil.rmtree(place / "gone")
        self.goes_on(place, out)

    @pytest.mark.parametrize(
        "name", ["n" * 200, *(pytest.param(n, marks=THOROUGH) for n in ("字" * 40, "a/b" * 20))]
    )
    def test_long_names(self, place, name):
        out = place / "long"
        done = command([*arguments(place, "audit", out), "--name", name], place)
        assert done.code == 0, done.text
        assert command(["verify", out], place).code == 0
        shutil.rmtree(out)

    @THOROUGH
    def test_names_of_a_study_that_are_the_same_as_files(self, place):
        names = ["c/d", "c_d", "字" * 40, "t" * 100]
        task = {"input": "asked", "target": "answers", "quality": "token_f1", "max_new_tokens": 4}
        files = {split: str(place / f"{split}.jsonl") for split in ("train", "validation", "test")}
        model = STUDY["models"][0] | {"name": "m" * 100}
        long = STUDY | {"models": [model], "tasks": [task | files | {"name": name} for name in names]}
        (place / "long.yaml").write_text(json.dumps(long), encoding="utf-8")
        out = place / "long-study"
        done = command(["run", place / "long.yaml", "--out", out], place)
        assert done.code == 0, done.text
        assert command(["verify", out], place).code == 0
        assert len(list((out / "items").iterdir())) == len(names)


def restored(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file so that its size and times of access and modification stay."""
    at, held = path.stat(), path.read_bytes()
    path.write_bytes(change(held))
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))


@pytest.mark.slow
class TestIdentity:
    def test_an_edit_is_measured_anew_and_a_touch_redoes_nothing(self, place):
        model, out = place / "model", place / "of-model"
        shutil.copytree(embedded.path("embedded:tiny-t5-qa"), model)
        asked = [*AUDIT[:2], model, *AUDIT[3:], "--out", out]
        assert command(asked, place).code == 0
        records = set((out / "records").iterdir())
        for path in model.iterdir():
            path.touch()
        again = command(asked, place)
        assert "all 1 checkpoints are measured already" in again.text or "are measured already" in again.text
        assert set((out / "records").iterdir()) == records
        restored(model / "model.safetensors", lambda held: held[:-1000] + bytes(1000))
        edited = command(asked, place)
        assert edited.code == 0, edited.text
        assert "all 2 checkpoints" not in edited.text
        assert len(set((out / "records").iterdir()) - records) >= 1


@pytest.mark.slow
class TestMixed:
    def test_only_records_of_the_present_settings_are_used(self, place):
        """Another audit in the same folder, killed midway."""
        original, _ = whole(place, "audit")
        out = place / "mixed"
        shutil.copytree(original, out)
        other = [*arguments(place, "audit", out), "--seed", 1]
        running = start(other, place)
        until(lambda: says(out / "log.jsonl", "recorded", after='"seed": 1'), running)
        running.kill()
        running.end()
        assert len(list((out / "records").iterdir())) > 2
        for done, page in (
            (command(["report", out], place), out),
            (
                command(["analyze", out, "--resamples", 200, "--out", place / "of-mixed"], place),
                place / "of-mixed",
            ),
        ):
            if done.code == 0:
                assert "PARTIAL" in (page / "report.html").read_text(encoding="utf-8")
                seeds = pd.read_csv(page / "tables" / "correlation.csv")["seed"].dropna()
                assert not (seeds == "0").any()
            else:
                one_line(done)
        assert command(other, place).code == 0
        assert command(arguments(place, "audit", out), place).code == 0
        mine, theirs = content(out), content(original)
        names = [name for name in theirs if not name.startswith("run.")]
        assert [name for name in names if mine.get(name) != theirs[name]] == []
        listed = command(["gc", out], place)
        assert "records/" in listed.text
        assert command(["gc", out, "--delete"], place).code == 0
        assert faults(out, original, place) == []
