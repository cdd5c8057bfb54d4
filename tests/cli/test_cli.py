"""The command line as a person meets it: help, exit codes, one-line errors, what goes where."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aftertune
from aftertune.cli import main as commands
from aftertune.cli.main import main
from aftertune.models.load import save
from aftertune.models.loaded import wrap
from aftertune.quality import QUALITY
from aftertune.scores import SCORES
from aftertune.tasks import TASKS
from samples import LISTS, make_bench, rows, study, write_jsonl, write_study
from tiny import SEED, tiny

COMMANDS = ("quickstart", "audit", "run", "analyze", "plan", "report", "gate", "status", "verify", "gc", "list")
ROOT = Path(__file__).parents[2]
OWN = ["--input", "q", "--target", "answer", "--template", "{q} =", "--max-new-tokens", "14", "--beams", "3",
       "--dropout-samples", "2", "--batch-size", "8", "--resamples", "200"]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = make_bench(tmp_path_factory.mktemp("bench"), "llama", "t5", test=12)
    shutil.copytree(folder / "llama", folder / "tuned")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(run: str) -> list[str]:
    """The last lines of a command that has written a run folder."""
    more = f"more: aftertune report {shlex.quote(run)} --verbose"
    return [f"report: {run}/report.html", f"tables: {run}/tables", more]


def refused(capsys, *arguments):
    """The one line that a wrong command prints, after what it had to note."""
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), (code, out, err)
    err = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("note: "))
    assert err.startswith("aftertune: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    return err.removeprefix("aftertune: ").rstrip("\n")


def subprocess_run(*arguments, code=None, **settings):
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "aftertune"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120, **settings
    )


def records_file(path, n=30, checkpoints=(0, 1), constant=False):
    """Records of a score that follows quality before, and less so after."""
    lines = []
    for epoch in checkpoints:
        for i in range(n):
            quality = 0.0 if constant else i / n
            lines.append({
                "model": "m", "task": "t", "seed": 0, "epoch": epoch, "item_id": f"i{i}", "quality": quality,
                "scores": {"follows": i if epoch == 0 else (7 * i) % n, "steady": i + (i % 3)},
            })  # fmt: skip
    return write_jsonl(path, lines)


# Help and lists


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(capsys, command):
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"Example: aftertune {command} " in re.sub(r"\s+", " ", out)


def test_help(capsys):
    assert main(["--help"]) == 0
    whole = capsys.readouterr().out
    assert "Does your confidence score survive fine-tuning?" in whole
    for command in COMMANDS:
        assert re.search(rf"[│ ] {command} ", whole)
    assert main([]) == 0
    assert capsys.readouterr().out == whole
    assert main(["-h"]) == 0
    assert capsys.readouterr().out == whole


def test_every_command_is_tested_here():
    assert {c.name or c.callback.__name__ for c in commands.app.registered_commands} == set(COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"aftertune {aftertune.__version__}\n"


HEAVY = ("torch", "transformers", "peft", "accelerate", "datasets")
LOADED = """
import sys
from aftertune.cli.main import main
code = main(sys.argv[1:])
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def loaded(*arguments, code=LOADED):
    done = subprocess_run(*arguments, code=code)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["audit", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    assert not loaded(*arguments) & {*HEAVY, "matplotlib", "scipy", "numpy", "pyarrow", "sacrebleu", "nltk"}


def test_plan_imports_nothing_heavy():
    assert not loaded("plan", "--scores", "1") & {*HEAVY, "matplotlib", "nltk", "sacrebleu"}


@pytest.mark.slow
def test_analyze_imports_no_torch(tmp_path):
    command = ("analyze", records_file(tmp_path / "r.jsonl"), "--out", tmp_path / "out", "--resamples", "200")
    assert not loaded(*command) & set(HEAVY)
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.slow
def test_a_gate_imports_no_torch_and_no_pandas(here):
    records_file(here / "r.jsonl")
    assert main(["analyze", "r.jsonl", "--out", "out", "--resamples", "200"]) == 0
    (here / "p.yaml").write_text("rules: [{name: n, measure: quality, at_least: 0}]")
    assert not loaded("gate", "out", "--policy", "p.yaml") & {*HEAVY, "matplotlib", "pandas"}


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, aftertune; print('LOADED', *{n.partition('.')[0] for n in sys.modules}, file=sys.stderr)"
    assert not loaded(code=code) & {*HEAVY, "numpy", "matplotlib", "scipy"}


@pytest.mark.parametrize(("what", "names"), [("scores", SCORES), ("tasks", TASKS), ("quality", QUALITY)])
def test_list(capsys, what, names):
    assert main(["list", what]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in names.names():
        assert re.search(rf"^{name}\b", out, re.MULTILINE)
    assert all(len(line) <= 80 for line in out.splitlines())


def test_list_models(capsys):
    assert main(["list", "models"]) == 0
    assert "owner/name" in capsys.readouterr().out


def test_lists_on_a_terminal_without_unicode():
    code = (
        "from aftertune.cli.main import main; raise SystemExit(main(['list', 'tasks']) + main(['list', 'scores']))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "squad" in done.stdout
    assert "beam_sum" in done.stdout


# Wrong command lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["aduit"], "No such command 'aduit'. Did you mean 'audit'? (see aftertune --help)"),
        (["audit"], "(see aftertune audit --help)"),
        (["audit", "a"], "Missing argument"),
        (["audit", "a", "b", "--quailty", "x"], "No such option: --quailty"),
        (["audit", "a", "b", "--quailty", "x"], "--quality"),
        (["audit", "a", "b", "--items"], "--items"),
        (["audit", "a", "b", "--items", "many"], "Invalid value for '--items'"),
        (["audit", "a", "b", "--margin", "-1"], "Invalid value for '--margin'"),
        (["analyze"], "Missing argument"),
        (["run"], "Missing argument"),
        (["run", "nothing.yaml"], "nothing.yaml: no such file"),
        (["report"], "Missing argument"),
        (["report", "nothing"], "nothing is not a run folder: it has no run.json"),
        (["gate", "run"], "Missing option '--policy'"),
        (["gate", "run", "--policy", "none.yaml"], "none.yaml: no such file"),
        (
            ["audit", "a", "b", "--fail-on", "degarded"],
            "--fail-on: unknown word 'degarded': known: improved, holds,",
        ),
        (["run", "none.yaml", "--fail-on", "fel"], "--fail-on: unknown word 'fel': known: improved"),
        (
            ["analyze", "none.jsonl", "--fail-on", "fell,bad"],
            "inconclusive, undefined, reversed, warning, not-usable",
        ),
        (["report", "none", "--fail-on", ","], "--fail-on names nothing: write some of improved"),
        (["quickstart", "--fail-on", "x"], "--fail-on: unknown word 'x'"),
        (["list", "score"], "unknown list 'score': did you mean scores?"),
        (["list", "animals"], "known: models, quality, scores, tasks"),
    ],
)
def test_usage(capsys, here, arguments, expected):
    assert expected in refused(capsys, *arguments)
    assert list(here.iterdir()) == []


def test_fail_on_after_the_usual_output(capsys, here):
    """A constant quality has no correlation: the one verdict that every processor gives."""
    records_file(here / "r.jsonl", constant=True)
    command = ["analyze", "r.jsonl", "--out", "out", "--resamples", "200"]
    assert main(command) == 0
    usual = capsys.readouterr()
    assert main([*command, "--fail-on", "undefined"]) == 1
    out, err = capsys.readouterr()
    assert out == usual.out
    breaches = [line for line in err.splitlines() if line.startswith("breach: ")]
    assert [line.partition(",")[0] for line in breaches] == [
        "breach: --fail-on undefined: follows", "breach: --fail-on undefined: steady"
    ]  # fmt: skip
    assert main([*command, "--fail-on", "degraded,fell"]) == 0
    assert main(["report", "out", "--fail-on", "undefined,degraded"]) == 1
    assert main(["report", "out", "--fail-on", "degraded"]) == 0


# Audits


def audit(bench, out, *arguments, after="tuned", before="llama", data="test.jsonl"):
    own = [] if data is None else ["--data", bench / data, *OWN]
    return ["audit", bench / before, bench / after, *own, "--out", out, *arguments]


def test_audit_then_report(capsys, bench, here):
    command = [str(a) for a in audit(bench, "runs/one", "--dropout", "residual:0.1", "--score", "beam_sum",
                                     "--score", "dropout_kl")]  # fmt: skip
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "tuned on test: before fine-tuning → " in out
    assert "too few items for a verdict (12; 30 are needed)" in " ".join(out.split())
    assert out.splitlines()[-3:] == ended("runs/one")
    assert all(len(line) <= 80 for line in out.splitlines())
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    starts = [line.partition("]")[0] for line in lines]
    assert list(dict.fromkeys(starts)) == ["[0/2", "[1/2", "[2/2"]
    assert lines[0] == f"[0/2] {bench / 'llama'}: decoding"
    assert lines[1].endswith(" left, decoding alone)")
    assert sum(": measured" in line for line in lines) == 2
    assert "beam_sum" not in err
    run = here / "runs/one"
    tables = {path.name: path.read_bytes() for path in (run / "tables").iterdir()}
    page = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    shutil.rmtree(run / "tables")
    shutil.rmtree(run / "figures")
    assert main(["report", "runs/one"]) == 0
    again, err = capsys.readouterr()
    assert again == out
    assert err == ""
    assert {path.name: path.read_bytes() for path in (run / "tables").iterdir()} == tables
    assert (run / "report.html").read_bytes() == page
    assert any((run / "figures").iterdir())
    assert "holds a run of aftertune audit" in refused(capsys, "analyze", "runs/one", "--out", "runs/one")
    assert {path.name: path.read_bytes() for path in (run / "tables").iterdir()} == tables
    assert main(command) == 0
    assert "note: all 2 checkpoints are measured already" in capsys.readouterr().err.splitlines()


def test_status_verify_and_gc(capsys, bench, here):
    command = [str(a) for a in audit(bench, "out", "--dropout", "none", "--score", "beam_sum")]
    assert main(command) == 0
    capsys.readouterr()
    assert main(["status", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("out: aftertune audit, finished (20")
    assert "  2 of 2 checkpoints measured" in lines
    assert main(["verify", "out"]) == 0
    n = len(json.loads((here / "out/run.json").read_text())["files"]) + 2  # run.json and its copy
    assert capsys.readouterr().out == f"out: {n} of {n} files are as they were written\n"
    (record,) = [path for path in (here / "out/records").iterdir() if "epoch1" in path.name]
    record.write_bytes(record.read_bytes()[:-1])
    assert main(["verify", "out"]) == 1
    damage, summary = capsys.readouterr().out.splitlines()
    assert damage.startswith(f"out/records/{record.name} has ")
    assert summary == f"out: {n - 1} of {n} files are as they were written"
    assert "epoch1" in refused(capsys, "report", "out")
    assert main([*command, "--seed", "3"]) == 0
    assert f"out/records/{record.name}has" in "".join(capsys.readouterr().err.split())  # wrapped
    assert main(["gc", "out"]) == 0
    listed = capsys.readouterr().out
    assert f"out/damaged/records~{record.name}" in listed  # the damaged one, and what is of seed 0
    assert "seed0-epoch0" in listed
    assert "remove them with --delete" in listed
    assert main(["gc", "out", "--delete"]) == 0
    assert "removed" in capsys.readouterr().out
    assert main(["gc", "out"]) == 0
    assert capsys.readouterr().out == "out: nothing to remove\n"
    assert main(["verify", "out"]) == 0
    assert "not a run folder" in refused(capsys, "status", "nothing")


def test_audit_of_a_model_that_is_never_right(capsys, bench, here):
    write_jsonl(here / "never.jsonl", [row | {"answer": "never"} for row in rows(16, 4)])
    command = audit(bench, "out", "--quality", "exact_text", "--dropout", "none", "--beams", "0")
    command[command.index("--data") + 1] = "never.jsonl"
    assert main([str(a) for a in command]) == 0
    out, _ = capsys.readouterr()
    assert "quality is constant" in out
    assert not re.search(r"[0-9]\.[0-9][0-9]", out)


BAD_DATA = {
    "malformed.jsonl": ('{"q": "w1", "answer": "w2"}\n{"q": "w1", \n{"q": "w1", "answer": "w2"}\n', ", line 2: "),
    "column.jsonl": ('{"q": "w1", "answer": "w2"}\n{"q": "w1"}\n', ", line 2: "),
    "empty.jsonl": ("", "empty.jsonl: no items: the file is empty"),
    "one.jsonl": ('{"q": "w1", "answer": "w2"}\n', "has 1 test item"),
    "ragged.csv": ("q,answer\nw1,w2\nw1,w2,w3\n", ", line 3: "),
    "odd.txt": ("w1\n", "unknown suffix '.txt'"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_audit_of_bad_data(capsys, bench, here, name):
    text, expected = BAD_DATA[name]
    (here / name).write_text(text)
    command = audit(bench, "out")
    command[command.index("--data") + 1] = name
    assert expected in refused(capsys, *command)
    assert [path.name for path in here.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "data", "expected"),
    [
        (["--task", "sqaud"], None, "unknown task 'sqaud': did you mean squad"),
        (["--task", "squad"], "test.jsonl", "give either a task (--task squad) or a test set of your own"),
        ([], None, "give either a task (--task squad) or a test set of your own"),
        (["--task", "squad", "--quality", "token_f1"], None, "--quality is for --data: task 'squad' has its own"),
        (["--task", "squad", "--input", "text"], None, "--input is for --data: task 'squad' has its own"),
        (["--task", "squad", "--data-dir", "nowhere"], None, "nowhere: no such folder (--data-dir)"),
        (["--score", "beam_sums"], "test.jsonl", "unknown score 'beam_sums': did you mean beam_sum"),
        (["--quality", "token_f2"], "test.jsonl", "unknown quality metric 'token_f2': did you mean token_f1"),
        ([], "absent.jsonl", "absent.jsonl: no such file"),
        (["--template", "{question}"], "test.jsonl", "test.jsonl, line 1: "),
        (["--template", "{q"], "test.jsonl", "the template '{q' cannot be read"),
        (
            ["--dropout", "native"],
            "test.jsonl",
            "dropout native does not act, the model has no dropout of its own",
        ),
        (["--dropout", "residul:0.1"], "test.jsonl", "dropout 'residul' is not one of"),
        (["--dropout", "residual:much"], "test.jsonl", "'much' is not a number; write residual:0.02"),
        (["--dropout", "residual"], "test.jsonl", "as in residual:0.02"),
        (["--dropout", "0.1"], "test.jsonl", "dropout '0.1' does not say which: write residual:0.1"),
        (["--template", "{question A:"], "test.jsonl", "a closing brace is missing; write {question}, or {{ for"),
        (["--judge", "bleu:0.5"], "test.jsonl", "unknown judge 'bleu': write rule; rule:T, with T a threshold"),
        ([], ".", "a file is wanted, this is a folder"),
        (["--beams", "1"], "test.jsonl", "beams is 1: take at least 2, or 0 for none"),
        (["--dropout-samples", "1"], "test.jsonl", "dropout_samples is 1: take at least 2, or 0 for none"),
        (["--long-prompts", "keep"], "test.jsonl", "long prompts 'keep' is not one of error, truncate, drop"),
        (["--chat", "yes"], "test.jsonl", "chat 'yes' is not one of auto, on, off"),
        (["--dtype", "float8"], "test.jsonl", "dtype 'float8' is not one of"),
    ],
)
def test_audit_refuses(capsys, bench, here, arguments, data, expected):
    assert expected in refused(capsys, *audit(bench, "out", *arguments, data=data))
    assert list(here.iterdir()) == []


def test_audit_of_a_prompt_beyond_the_context(capsys, bench, here):
    long = {"id": "long", "q": " ".join(["w1"] * 120), "answer": "w1"}
    write_jsonl(here / "long.jsonl", [*rows(5, 3), long])
    command = audit(bench, "out", "--dropout", "residual:0.1")
    command[command.index("--data") + 1] = "long.jsonl"
    message = refused(capsys, *command)
    assert "the prompt of item 'long' has 122 tokens" in message
    assert "--long-prompts" in message
    assert [path.name for path in here.iterdir()] == ["long.jsonl"]
    assert main([*map(str, command), "--long-prompts", "drop", "--score", "beam_sum", "--verbose"]) == 0
    out, err = capsys.readouterr()
    assert f"note: {bench / 'llama'}: 1 of 6 prompts left out" in err
    assert "1 of 6 prompts left out" in re.sub(r"\s+", " ", out)


def without(folder, pattern):
    for path in folder.glob(pattern):
        path.unlink()


def no_adapter_base(folder):
    without(folder, "*")
    (folder / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "./gone"}'
    )
    (folder / "adapter_model.safetensors").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (shutil.rmtree, "does not exist"),
        (lambda f: without(f, "model.safetensors"), "has no weights (model.safetensors)"),
        (lambda f: without(f, "tokenizer*"), "has no tokenizer"),
        (lambda f: without(f, "config.json"), "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "does not load"),
        (lambda f: (f / "config.json").write_text("{}"), "does not load"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "does not load"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "does not load"),
        (no_adapter_base, "adapter_model.safetensors: does not load"),
    ],
)
def test_audit_of_a_folder_that_is_no_model(capsys, bench, here, spoil, expected):
    shutil.copytree(bench / "llama", here / "spoilt")
    spoil(here / "spoilt")
    command = audit(bench, "out", "--dropout", "none")
    command[2] = here / "spoilt"
    assert expected in refused(capsys, *command)
    assert not (here / "out").exists()


def test_audit_of_weights_that_do_not_belong_to_the_configuration(capsys, bench, here):
    model, tokenizer = tiny("gemma2")
    save(wrap(model, tokenizer), here / "spoilt")
    shutil.copy(bench / "llama" / "model.safetensors", here / "spoilt" / "model.safetensors")
    command = audit(bench, "out", "--dropout", "none")
    command[2] = here / "spoilt"
    assert re.search(
        r"the weights in .*spoilt lack model\.layers\..* and \d+ more: save", refused(capsys, *command)
    )
    config = json.loads((bench / "llama" / "config.json").read_text())
    shutil.copytree(bench / "llama", here / "other")
    (here / "other" / "config.json").write_text(json.dumps(config | {"intermediate_size": 24}))
    command[2] = here / "other"
    assert "have the wrong shape for model.layers.0.mlp.down_proj.weight and" in refused(capsys, *command)
    assert not (here / "out").exists()


def test_audit_into_places_that_will_not_do(capsys, bench, here):
    (here / "file").write_text("mine")
    (here / "folder").mkdir()
    (here / "folder" / "thesis.tex").write_text("mine")
    (here / "manifest").mkdir()
    (here / "manifest" / "run.json").write_text('{"experiment": 3}')
    assert "file is a file: give a folder with --out" in refused(capsys, *audit(bench, "file"))
    assert "file/deeper cannot be made or written in" in refused(capsys, *audit(bench, "file/deeper"))
    assert "folder is not empty and not a run folder" in refused(capsys, *audit(bench, "folder"))
    assert "was not written by aftertune" in refused(capsys, *audit(bench, "manifest"))
    assert "was not written by aftertune" in refused(capsys, "report", "manifest")
    assert (here / "file").read_text() == "mine"
    assert [path.name for path in (here / "folder").iterdir()] == ["thesis.tex"]


# Records of others


def test_analyze(capsys, here):
    records_file(here / "r.jsonl")
    assert main(["analyze", "r.jsonl", "--out", "out", "--resamples", "200"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "follows" in out
    assert "degraded" in out
    assert out.splitlines()[-3:] == ended("out")
    assert {path.name for path in (here / "out").iterdir()} == {
        *LISTS,
        "tables",
        "figures",
        "report.html",
        "summary.json",
    }
    assert (here / "r.jsonl").is_file()
    before = (here / "out/tables/change.csv").read_bytes()
    assert main(["analyze", "r.jsonl", "--out", "out", "--resamples", "200"]) == 0
    assert (here / "out/tables/change.csv").read_bytes() == before
    capsys.readouterr()
    shutil.rmtree(here / "out/tables")
    assert main(["report", "out"]) == 0
    assert capsys.readouterr().out == out
    assert (here / "out/tables/change.csv").read_bytes() == before
    (here / "r.jsonl").unlink()
    assert "r.jsonl: no such file or folder" in refused(capsys, "report", "out")


def test_analyze_the_example_of_the_documentation(capsys, here):
    text = (ROOT / "docs" / "records.md").read_text()
    example = re.search(r"<!-- example:begin -->\s*```jsonl\n(.*?)```", text, re.DOTALL).group(1)
    (here / "r.jsonl").write_text(example)
    assert main(["analyze", "r.jsonl", "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert "my-llama on capitals" in out
    assert "Nothing can be said" in out  # of four items
    correlation = (here / "out/tables/correlation.csv").read_text()
    assert "my-llama,capitals,default,0,3,true,my_score,4," in correlation


def test_analyze_a_constant_quality(capsys, here):
    records_file(here / "r.jsonl", constant=True)
    assert main(["analyze", "r.jsonl", "--out", "out", "--resamples", "200"]) == 0
    out = capsys.readouterr().out
    assert "quality is constant" in out
    assert not re.search(r"[0-9]\.[0-9][0-9]", out)


LINE = '{"model":"m","task":"t","seed":0,"epoch":0,"item_id":"%s","quality":%s,"scores":{"s":1}}\n'
BAD_RECORDS = {
    "nan.jsonl": (LINE % ("a", 1) + LINE % ("b", "NaN"), "nan.jsonl, line 2: NaN is not JSON"),
    "text.jsonl": (LINE % ("a", 1) + LINE % ("b", '"0.5"'), "text.jsonl, line 2: "),
    "twice.jsonl": (LINE % ("a", 1) + LINE % ("b", 1) + LINE % ("a", 1), "twice.jsonl, line 3: the same record"),
    "cut.jsonl": ((LINE % ("a", 1) + LINE % ("b", 1))[:-20], "cut.jsonl, line 2: the last line is cut short"),
    "field.jsonl": ('{"model":"m"}\n', "field.jsonl, line 1: "),
    "empty.jsonl": ("", "empty.jsonl: no records in it"),
    "few.jsonl": (LINE % ("a", 1) + LINE % ("b", 1), "2 test items: a correlation needs at least 3"),
    "junk.parquet": ("PAR1junk", "junk.parquet: "),
    "records.csv": ("a,b\n", "neither .jsonl nor .parquet"),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_analyze_bad_records(capsys, here, name):
    text, expected = BAD_RECORDS[name]
    (here / name).write_text(text)
    assert expected in refused(capsys, "analyze", name, "--out", "out")
    assert [path.name for path in here.iterdir()] == [name]


def test_analyze_no_records(capsys, here):
    assert "absent.jsonl: no such file or folder" in refused(capsys, "analyze", "absent.jsonl", "--out", "out")
    records_file(here / "r.jsonl")
    assert "given twice: name it once" in refused(capsys, "analyze", "r.jsonl", "./r.jsonl", "--out", "out")
    assert "holds" not in refused(capsys, "analyze", "r.jsonl", "--out", "r.jsonl")
    assert [path.name for path in here.iterdir()] == ["r.jsonl"]


# Studies


def test_run_and_its_default_folder(capsys, bench, here):
    content = study(bench, "llama", epochs=1, evaluation={"scores": ["beam_sum"], "beams": 2})
    content["models"][0]["dropout"] = "none"
    write_study(here / "study.yaml", content)
    assert main(["run", "study.yaml"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-3:] == ended("runs/tiny")
    assert err.splitlines()[0] == f"[0/2] llama · turn · seed {SEED} · before fine-tuning: decoding"
    assert f"[1/2] llama · turn · seed {SEED} · before fine-tuning: measured" in err
    assert {path.name for path in (here / "runs/tiny").iterdir()} == {
        *LISTS, "evidence", "items", "training", "records", "tables", "figures", "report.html", "summary.json"
    }  # fmt: skip
    assert any((here / "runs/tiny/figures").iterdir())
    assert "tiny" in (here / "runs/tiny/report.html").read_text()


def test_dry_run_of_the_paper(capsys, here):
    """Models and data of the hub are not touched: this machine may have no network."""
    assert main(["run", str(ROOT / "studies" / "paper.yaml"), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    words = " ".join(out.split())
    assert "paper: 4 models, 3 tasks, 3 seeds" in words
    assert "training runs 360 180 50 %" in words
    assert "1,048,860–9,027,360 765,000–8,460,000 6–27 %" in words
    assert "measured checkpoints 756–792 648–684 14 %" in words
    assert "before_after Tables 1, 6, 8 before, epoch 1, the selected one" in words
    assert "squad: With 1,000 items and 3 seeds a score that holds is shown to hold in " in words
    assert "gsm8k: With 1,000 items and 3 seeds" in words
    assert "Assumed: ρ 0.40 before fine-tuning, stability 0.30, spread 0.03 over training runs" in words
    assert "Run folder: runs/paper. Nothing is there yet." in words
    assert list(here.iterdir()) == []


def test_dry_run_says_what_is_used_again(capsys, bench, here):
    content = study(bench, "llama", epochs=1, evaluation={"scores": ["beam_sum"], "beams": 2})
    content["models"][0]["dropout"] = "none"
    write_study(here / "study.yaml", content)
    command = ["run", "study.yaml", "--out", "out"]
    assert main([*command, "--dry-run"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "No chances of verdicts for turn: items is 12: fewer than 30 get no verdict" in words
    assert "Nothing is there yet" in words
    assert main(command) == 0
    content["experiments"]["by_epoch"]["epochs"] = 2
    content["seeds"] = [SEED, SEED + 1]
    write_study(here / "study.yaml", content)
    before = sorted(path.name for path in (here / "out").rglob("*"))
    capsys.readouterr()
    assert main([*command, "--dry-run"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    # Before fine-tuning both seeds are one without dropout samples; epoch 1 of the first.
    assert "Run folder: out. Used again: 0 of 2 training runs, 3 of 6 measured checkpoints." in words
    assert sorted(path.name for path in (here / "out").rglob("*")) == before


def test_names_in_a_plan_are_no_markup_and_no_emoji(capsys, bench, here):
    content = study(bench, "llama", epochs=1)
    content["name"] = "a:x:b"
    content["models"][0] |= {"name": "m[red]:heart:", "dropout": "none"}
    write_study(here / "study.yaml", content)
    assert main(["run", "study.yaml", "--dry-run", "--out", "o:x:[b]"]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines()[0] == "a:x:b: 1 model, 1 task, 1 seed"
    assert "m[red]:heart: on turn, each seed" in out
    assert "Run folder: o:x:[b]. Nothing is there yet." in out


def test_names_in_results_are_no_markup_and_no_emoji(capsys, here):
    own = records_file(here / "r.jsonl").read_text().splitlines()
    lines = [json.loads(line) | {"model": "m[red]:heart:"} for line in own]
    write_jsonl(here / "r.jsonl", lines)
    assert main(["analyze", "r.jsonl", "--out", "o:x:[b]", "--resamples", "200"]) == 0
    out, _ = capsys.readouterr()
    assert "m[red]:heart: on t" in out
    assert out.splitlines()[-3:] == ended("o:x:[b]")


def test_dry_run_refuses_what_a_run_refuses(capsys, bench, here):
    content = study(bench, "llama")
    content["experiments"] = {"by_samples": {"samples": [25]}}
    write_study(here / "study.yaml", content)
    message = refused(capsys, "run", "study.yaml", "--dry-run")
    assert "asks for 25 training items, and task 'turn' has 24" in message
    assert refused(capsys, "run", "study.yaml") == message


def test_run_a_bad_study(capsys, bench, here):
    (here / "study.yaml").write_text("name: x\nmodls: []\n")
    message = refused(capsys, "run", "study.yaml")
    assert message == "study.yaml, line 2: unknown key 'modls': did you mean models?"
    assert [path.name for path in here.iterdir()] == ["study.yaml"]


# Ends that are nobody's input


def test_a_fault_of_ours(capsys, monkeypatch, here):
    def breaks(*arguments, **settings):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("aftertune.cli.listing.show_list", breaks)
    assert main(["list", "scores"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "ZeroDivisionError: ours" in err
    assert err.splitlines()[-1] == "aftertune: this is a fault of ours, not of your input; please report it"


def test_stopped(capsys, monkeypatch, here):
    def stops(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("aftertune.cli.listing.show_list", stops)
    assert main(["list", "scores"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "aftertune: stopped; the same command goes on from here\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(errno.ENOSPC, "no", "run/x.csv"), 2, "run/x.csv: the disk is full: free some space"),
        (OSError(errno.EFBIG, "no", "run/x.csv"), 2, "run/x.csv: the file would be larger than is allowed here"),
        (OSError(errno.EROFS, "no", "run/x.csv"), 2, "run/x.csv: it is read-only there: give another folder"),
        (
            OSError(errno.ENAMETOOLONG, "no", "run/x"),
            2,
            "run/x: the name is too long for a file: shorten",
        ),
        (FileNotFoundError(errno.ENOENT, "no", "run/x"), 2, "run/x: it was there before and is gone"),
        (MemoryError(), 2, "there is not enough memory: use a smaller --batch-size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "there is not enough memory"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2, "a file: the disk is full"),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on from here"),
        (commands.Terminated, 143, "stopped; the same command goes on from here"),
        (EOFError("half a file"), 3, "this is a fault of ours"),
        (OSError("of another kind"), 3, "this is a fault of ours"),
    ],
)
def test_what_the_machine_does(monkeypatch, capsys, error, code, line):
    def fail(what):
        raise error

    monkeypatch.setattr("aftertune.cli.listing.show_list", fail)
    assert main(["list", "scores"]) == code
    stderr = capsys.readouterr().err
    assert f"aftertune: {line}" in stderr
    assert ("Traceback" in stderr) == (code == 3)
    assert code == 3 or len(stderr.splitlines()) == 1


@pytest.mark.slow
def test_control_c(bench, tmp_path):
    content = study(bench, "llama", epochs=50)
    file, out = write_study(tmp_path / "study.yaml", content), tmp_path / "run"
    command = [sys.executable, "-m", "aftertune", "run", str(file), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(out.glob("evidence/*/*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "aftertune: stopped; the same command goes on from here"
    assert "Traceback" not in stderr


def test_as_a_module_and_with_a_closed_pipe(tmp_path):
    done = subprocess_run("list", "animals")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "aftertune: unknown list 'animals': known: models, quality, scores, tasks\n"
    piped = subprocess.run(
        [f"{sys.executable} -m aftertune list scores | head -1"], shell=True, capture_output=True, text=True
    )
    assert len(piped.stdout.splitlines()) == 1
    assert "Traceback" not in piped.stderr
    assert "fault of ours" not in piped.stderr
