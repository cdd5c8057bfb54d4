"""The gate: policies, findings, exit codes, and what it writes for other programs."""

from __future__ import annotations

import html.parser
import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import get_args

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from aftertune.cli.main import app, main
from aftertune.commands import gate_files
from aftertune.commands.gate import FAIL_ON, Finding, breaches, failing, find, gate, read_summary, words_of
from aftertune.commands.gate_files import github_summary, junit
from aftertune.commands.policy import CHOICES, Policy, PolicyFile, Rule, read_policy
from aftertune.errors import InputError
from aftertune.files.runfolder import Manifest, RunFolder
from aftertune.report.summary_file import SummaryFile
from summary_samples import check, comparison, content, effect, recommended, score, summary

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\U000e0000-\U000e007f]")


def found(content: SummaryFile, **rule) -> list[Finding]:
    rule = {"name": "r"} | {key.rstrip("_"): value for key, value in rule.items()}
    return find(content, PolicyFile(Policy.model_validate({"rules": [rule]})))


def states(content: SummaryFile, **rule) -> list[str]:
    return [finding.state for finding in found(content, **rule)]


def policy(path: Path, *rules: str, more: str = "") -> Path:
    path.write_text("rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules) + more, encoding="utf-8")
    return path


def run_folder(path: Path, content: dict, state: str = "finished") -> Path:
    folder = RunFolder(path)
    with folder.writing("analyze"):
        folder.write(Manifest(settings={"command": "analyze"}, state=state))
        folder.summary.write_text(json.dumps(content), encoding="utf-8")
    return path


HOLDS = "name: it holds, measure: verdict, score: all, in: [holds, improved, degraded]"
BROKEN = "name: none degraded, measure: verdict, score: all, not_in: [degraded]"


# What rules say


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"score": "mean_token_logprob", "measure": "verdict", "in_": ["holds", "improved"]}, ["passes"]),
        ({"score": "beam_sum", "measure": "verdict", "in_": ["holds", "improved"]}, ["breach"]),
        ({"score": "all", "measure": "verdict", "not_in": ["degraded", "fell"]}, ["passes", "breach"]),
        ({"score": "any", "measure": "verdict", "in_": ["holds"]}, ["passes"]),
        ({"score": "any", "measure": "verdict", "in_": ["fell"]}, ["breach"]),
        ({"score": "recommended", "measure": "usable", "in_": ["yes"]}, ["passes"]),
        ({"score": ["beam_sum", "mean_token_logprob"], "measure": "usable", "in_": ["yes"]}, ["passes"] * 2),
        ({"score": "beam_sum", "measure": "adjusted", "at_least": 0.48}, ["passes"]),
        ({"score": "beam_sum", "measure": "adjusted", "at_least": 0.49}, ["breach"]),
        ({"score": "beam_sum", "measure": "adjusted", "bound": "low", "at_least": 0.39}, ["breach"]),
        ({"score": "beam_sum", "measure": "adjusted", "bound": "low", "at_least": 0.38}, ["passes"]),
        ({"score": "beam_sum", "measure": "adjusted", "bound": "high", "at_most": 0.58}, ["passes"]),
        ({"score": "beam_sum", "measure": "spearman", "at_most": 0.35}, ["breach"]),
        ({"score": "beam_sum", "measure": "spearman", "at_least": 0.3, "at_most": 0.4}, ["passes"]),
        ({"score": "beam_sum", "measure": "adjusted_change", "bound": "low", "at_least": -0.1}, ["passes"]),
        ({"score": "beam_sum", "measure": "adjusted_change", "bound": "low", "at_least": -0.05}, ["breach"]),
        ({"score": "beam_sum", "measure": "spearman_change", "at_least": -0.04}, ["passes"]),
        ({"score": "beam_sum", "measure": "auroc", "bound": "low", "at_least": 0.6}, ["passes"]),
        ({"score": "beam_sum", "measure": "auroc_change", "bound": "high", "at_least": 0.1}, ["breach"]),
        ({"score": "beam_sum", "measure": "concordance", "at_least": 0.7}, ["passes"]),
        ({"score": "beam_sum", "measure": "new_run_falls", "at_most": 0.1, "undefined": "pass"}, ["passed over"]),
        ({"score": "beam_sum", "measure": "items", "at_least": 200}, ["breach"]),
        ({"score": "beam_sum", "measure": "seeds", "at_least": 1}, ["passes"]),
        ({"measure": "quality", "at_least": 0.8}, ["passes"]),
        ({"measure": "quality_change", "at_least": 0}, ["passes"]),
        ({"measure": "quality_change", "at_least": 0.3}, ["breach"]),
        ({"measure": "recommended"}, ["passes"]),
        ({"measure": "recommended", "in_": ["beam_sum"]}, ["breach"]),
        ({"measure": "checks", "not_in": ["warning"]}, ["passes"]),
        ({"measure": "checks", "in_": ["ok"]}, ["breach"]),
        ({"measure": "checks", "check": "one prompt", "in_": ["note"]}, ["passes"]),
    ],
)
def test_rules(rule, expected):
    assert states(summary(), **rule) == expected


def test_every_measure_is_tried_above():
    (mark,) = [mark for mark in test_rules.pytestmark if mark.name == "parametrize"]
    measures = Rule.model_fields["measure"].annotation
    assert set(get_args(measures)) == {rule["measure"] for rule, _ in mark.args[1]}


def test_which_interval():
    scopes = {
        "training": {"value": -0.02, "low": -0.2, "high": 0.16, "simultaneous": True},
        "new_run": {"value": -0.02, "low": -0.4, "high": 0.36, "simultaneous": False},
    }
    own = score(scope="training", adjusted=effect(0.5, 0.48, -0.08, 0.04, **scopes))
    low = {"score": "s", "measure": "adjusted_change", "bound": "low"}
    run = summary(comparison({"s": own}))
    assert states(run, **low, at_least=-0.1, scope="models") == ["passes"]
    assert states(run, **low, at_least=-0.1) == ["breach"]  # that of the verdict
    assert states(run, **low, at_least=-0.2) == ["passes"]
    assert states(run, **low, at_least=-0.3, scope="new_run") == ["breach"]
    (finding,) = found(summary(), **low | {"score": "beam_sum"}, at_least=-0.3, scope="new_run")
    assert str(finding) == (
        "r: beam_sum, llama on squad, before → selected: lower end of change of adjusted ρ (new run) is undefined "
        "(nothing was computed for new run); wanted: at least −0.3"
    )


def test_an_undefined_value_fails_unless_the_rule_lets_it_pass():
    nothing = score("undefined", None, status="quality is constant", adjusted=effect(None, None, None, None),
                    auroc=None, concordance={"before": None, "after": None})  # fmt: skip
    run = summary(comparison({"s": nothing}, quality=None))
    for rule in (
        {"measure": "verdict", "not_in": ["degraded"]},
        {"measure": "verdict", "in_": ["holds"]},
        {"measure": "usable", "not_in": ["reversed"]},
        {"measure": "adjusted", "at_least": -1},
        {"measure": "adjusted_change", "at_most": 2},
        {"measure": "auroc", "at_least": 0},
        {"measure": "concordance", "at_least": 0},
    ):
        assert states(run, score="s", **rule) == ["breach"]
        assert states(run, score="s", undefined="pass", **rule) == ["passed over"]
    assert states(run, measure="quality", at_least=0) == ["breach"]
    assert states(run, score="s", measure="verdict", in_=["undefined"]) == ["passes"]
    assert states(run, score="s", measure="verdict", not_in=["undefined"], undefined="pass") == ["breach"]
    assert "quality is constant" in found(run, score="s", measure="adjusted", at_least=0)[0].value


def test_any_names_some_that_do_not_pass():
    run = summary(comparison({f"s{i}": score("fell") for i in range(5)}))
    (finding,) = found(run, score="any", measure="verdict", in_=["holds"])
    assert str(finding) == (
        "r: any of 5 scores, llama on squad, before → selected: none passes (s0: verdict is fell; s1: verdict is "
        "fell; s2: verdict is fell; and 2 more); wanted: holds"
    )


def test_no_score_is_recommended():
    run = summary(recommendation=[recommended(None)])
    for rule in ({"score": "recommended", "measure": "usable", "in_": ["yes"]}, {"measure": "recommended"}):
        (finding,) = found(run, **rule)
        assert finding.state == "breach"
        assert finding.value in ("the recommended score is none", "usable is undefined (no score is recommended)")


def test_the_score_that_is_relied_on():
    rows = [recommended(), recommended("beam_sum", "relied on")]
    rule = {"score": "relied_on", "measure": "verdict", "not_in": ["degraded"]}
    assert states(summary(recommendation=rows), **rule) == ["breach"]
    with pytest.raises(InputError, match="r: matches nothing in this run"):
        found(summary(), **rule)


def test_checks_of_some_models():
    run = summary(checks=[check(), check("warning", model="tuned")])
    rule = {"measure": "checks", "not_in": ["warning"]}
    assert states(run, **rule) == ["passes", "breach"]
    assert states(run, **rule, model="llama", check="one prompt") == ["passes"]
    with pytest.raises(InputError, match="unknown model 'x'"):
        states(run, **rule, model="x")


def test_rows_of_recommendations_belong_to_their_comparison():
    tuned = comparison({"a": score("fell")}, model="tuned")
    rows = [recommended(), recommended("a", model="tuned")]
    run = summary(comparison(), tuned, recommendation=rows)
    assert states(run, score="recommended", measure="verdict", in_=["holds"]) == ["passes", "breach"]


def test_filters_and_what_is_shown():
    run = summary(
        comparison({"a": score("holds")}),
        comparison({"a": score("fell")}, to="last", shown=False),
        comparison({"a": score("degraded")}, task="gsm8k"),
    )
    rule = {"score": "a", "measure": "verdict", "in_": ["holds"]}
    assert states(run, **rule) == ["passes", "breach"]
    assert states(run, **rule, task="squad") == ["passes"]
    assert states(run, **rule, task=["squad", "gsm8k"]) == ["passes", "breach"]
    assert states(run, **rule, to="last") == ["breach"]
    assert states(run, **rule, from_="before", task="squad") == ["passes", "breach"]
    for wrong, said in (
        ({"task": "sqaud"}, "unknown task 'sqaud': did you mean squad?"),
        ({"model": "x"}, "unknown model 'x': known: llama"),
        ({"setting": "n=5"}, "unknown setting 'n=5': known: default"),
        ({"score": "b"}, "unknown score 'b': known: a"),
        ({"to": "best"}, "matches nothing in this run"),
        ({"measure": "checks", "check": "one promt", "score": None, "in_": ["ok"]}, "did you mean one prompt?"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            found(run, **rule | wrong)


# Policies


def rule(text: str) -> str:
    return f"rules:\n  - {{name: a, {text}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a policy is a mapping: write rules: and a list of rules"),
        ("- x", "a policy is a mapping"),
        ("rules: []", "line 1: rules: give at least one"),
        ("name: x", "line 1: unknown key 'name'"),
        ("rules:\n  - {measure: verdict}", "line 2: rules[0].name is missing"),
        (rule("measuer: verdict}"), "line 2: unknown key 'measuer': did you mean measure?"),
        ("rules:\n  - name: a\n    measure: verdikt", "line 3: rules[0].measure: unknown measure 'verdikt'"),
        (rule("measure: verdict, in: [holds]}"), "write score: a name, or recommended"),
        (rule("measure: verdict, score: s, in: [hold]}"), "unknown verdict 'hold': did you mean holds?"),
        (rule("measure: usable, score: s, in: [maybe]}"), "unknown usable 'maybe': did you mean yes?"),
        (rule("measure: verdict, score: s, at_least: 1}"), "give it one limit, in: [...] or not_in"),
        (rule("measure: verdict, score: s, in: [fell], not_in: [holds]}"), "give it one limit"),
        (rule("measure: verdict, score: s}"), "give it one limit"),
        (rule("measure: adjusted, score: s}"), "give it a limit, at_least or at_most"),
        (rule("measure: adjusted, score: s, at_least: high}"), "valid number (given: 'high')"),
        (rule("measure: adjusted, score: s, at_least: .nan}"), "rules[0].at_least"),
        (rule("measure: adjusted, score: s, at_least: 1, at_most: 0}"), "nothing can pass"),
        (rule("measure: adjusted, score: [], at_least: 1}"), "rules[0].score"),
        (rule("measure: concordance, score: s, bound: low, at_least: 1}"), "has no interval"),
        (rule("measure: adjusted, score: s, scope: models, at_least: 1}"), "has no scope"),
        (rule("measure: auroc_change, score: s, scope: new_run, at_least: 1}"), "no scope new_run"),
        (rule("measure: quality, score: s, at_least: 1}"), "leave score away"),
        (rule("measure: quality, check: s, at_least: 1}"), "check is for measure: checks"),
        (rule("measure: checks, to: last, in: [ok]}"), "checks are of no comparison"),
        ("rules:\n  - {name: ' ', measure: checks, in: [ok]}", "write a name, on one line"),
        (rule("measure: recommended}\n  - {name: a, measure: recommended}"), "line 3: two rules"),
        (rule("measure: checks, in_: [x]}"), "unknown key 'in_': did you mean in"),
        ("partial: maybe\n" + rule("measure: checks, in: [ok]}"), "line 1: partial: should be 'fail' or 'pass'"),
    ],
)  # fmt: skip
def test_a_policy_that_is_wrong(tmp_path, text, said):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_policy(tmp_path / "p.yaml")
    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/p.yaml")


def test_a_rule_that_matches_nothing_names_its_line(tmp_path):
    run = run_folder(tmp_path / "run", content())
    file = policy(tmp_path / "p.yaml", HOLDS, "name: gone, measure: verdict, score: relied_on, in: [holds]")
    with pytest.raises(
        InputError, match=r"p\.yaml, line 3: gone: matches nothing in this run: nothing was checked"
    ):
        gate(run, file)


# Runs


@pytest.mark.parametrize("state", ["running", "failed", "interrupted", "recorded"])
def test_a_run_that_is_not_at_its_end_fails_unless_that_is_allowed(tmp_path, state):
    run = run_folder(tmp_path / "run", content(), state)
    found = gate(run, policy(tmp_path / "p.yaml", HOLDS))
    assert [str(one) for one in breaches(found)] == [
        f"a whole run: PARTIAL: the run is {'interrupted' if state == 'running' else state}, not finished"
    ]
    assert not breaches(gate(run, policy(tmp_path / "p.yaml", HOLDS, more="partial: pass\n")))


def test_a_partial_summary_fails(tmp_path):
    run = run_folder(tmp_path / "run", content(partial=True))
    (breach,) = breaches(gate(run / "summary.json", policy(tmp_path / "p.yaml", HOLDS)))
    assert breach.value == "PARTIAL: records are missing"


def test_runs_that_cannot_be_read(tmp_path):
    file = tmp_path / "summary.json"
    for text, said in (
        ("{", "summary.json, line 1: not JSON"),
        ("[]", "not a summary of aftertune"),
        ("{}", "not a summary of aftertune: schema"),
        (json.dumps(content(schema=2)), "is of a newer aftertune (schema 2): use that one"),
        (json.dumps(content(comparisons=[{}])), "comparisons.0.model: Field required"),
        (json.dumps(content(comparison({"s": score("good")}))), "comparisons.0.scores.s.verdict: Input should be"),
        (json.dumps(content()).replace("0.48", "NaN", 1), "finite"),
        ("[" * 100_000, "not a summary of aftertune"),
    ):
        file.write_text(text)
        with pytest.raises(InputError) as error:
            read_summary(file)
        assert said in str(error.value)
    with pytest.raises(InputError, match="is not a run folder"):
        read_summary(tmp_path)
    run = run_folder(tmp_path / "run", content())
    RunFolder(run).summary.unlink()
    with pytest.raises(InputError, match=r"has no summary\.json \(finished\): aftertune report .*run writes it"):
        read_summary(run)


def test_unknown_fields_of_the_same_schema_are_passed_over(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(content(more={"x": 1})))
    assert read_summary(tmp_path / "s.json")[0] == summary()


# --fail-on


def test_words():
    assert words_of(" degraded,fell ,degraded") == ("degraded", "fell")
    for text in ("degarded", "degraded,,no", ",", "Degraded"):
        with pytest.raises(InputError) as error:
            words_of(text)
        for word in FAIL_ON:
            assert word in str(error.value)


def test_fail_on():
    def lines(words: str, **others) -> list[str]:
        return [str(one) for one in failing(summary(**others), words_of(words))]

    place = "llama on squad, before → selected"
    assert lines("degraded,fell") == [
        f"--fail-on degraded: beam_sum, {place}: verdict is degraded; wanted: not degraded"
    ]
    assert lines("fell,undefined,reversed,warning,not-usable") == []
    assert lines("degraded", recommendation=[recommended("mean_token_logprob", "relied on")]) == []
    assert len(lines("degraded", recommendation=[recommended("beam_sum", "relied on")])) == 1
    assert lines("warning", checks=[check(), check("warning", "cut answers", message="12 % were cut")]) == [
        "--fail-on warning: cut answers, before, llama on squad: level is warning (12 % were cut); "
        "wanted: not warning"
    ]
    with pytest.raises(InputError, match="--fail-on warning: matches nothing in this run: nothing was checked"):
        lines("warning", checks=[])
    for rows in ([], [recommended(None)]):
        (line,) = lines("not-usable", recommendation=rows)
        assert line == f"--fail-on not-usable: {place}: the recommended score is none"
    reversed_ = summary(comparison({"s": score("holds", "reversed"), "t": score("undefined", None)}))
    assert len(failing(reversed_, ["reversed"])) == 1
    assert len(failing(reversed_, ["undefined"])) == 1
    assert len(failing(reversed_, ["degraded"])) == 0


# The command


def test_exit_codes(tmp_path, capsys):
    run, file = run_folder(tmp_path / "run", content()), tmp_path / "p.yaml"
    policy(file, HOLDS)
    assert main(["gate", str(run), "--policy", str(file)]) == 0
    assert capsys.readouterr() == (f"{run}: 1 of 1 rule passes (2 values)\n", "")
    policy(file, HOLDS, BROKEN)
    assert main(["gate", str(run), "--policy", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == f"{run}: 1 of 2 rules pass (4 values)\n"
    assert err == (
        "breach: none degraded: beam_sum, llama on squad, before → selected: verdict is degraded; "
        "wanted: not degraded\n"
    )
    policy(file, HOLDS.replace("verdict", "verdikt"))
    junit_file = tmp_path / "j.xml"
    assert main(["gate", str(run), "--policy", str(file), "--junit", str(junit_file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"aftertune: {file}, line 2: rules[0].measure: ")
    assert main(["gate", str(run), "--policy", str(tmp_path / "none.yaml")]) == 2
    assert main(["gate", str(tmp_path / "none"), "--policy", str(file)]) == 2


def test_what_cannot_be_checked_is_said_in_the_files_too(tmp_path, capsys):
    """A pipeline that shows files alone must not look as if nothing had happened."""
    file, xml, step = policy(tmp_path / "p.yaml", HOLDS), tmp_path / "j.xml", tmp_path / "step.md"
    files = ["--junit", str(xml), "--github-summary", str(step)]
    assert main(["gate", str(tmp_path / "none"), "--policy", str(file), *files]) == 2
    said = capsys.readouterr().err.removeprefix("aftertune: ").strip()
    root = ElementTree.parse(xml).getroot()
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["1", "0", "1"]
    (error,) = root.iter("error")
    assert error.get("message") == said
    assert step.read_text().startswith("### aftertune gate failed: nothing was checked\n\n")
    assert said in html.unescape(step.read_text())
    # Where the files cannot be written either, what is wrong with the run is told.
    capsys.readouterr()
    assert main(["gate", str(tmp_path / "none"), "--policy", str(file), "--junit", str(tmp_path)]) == 2
    assert capsys.readouterr().err.removeprefix("aftertune: ").strip() == said


def test_the_heading_of_a_summary_says_how_it_ended():
    assert github_summary([], "r").startswith("### aftertune gate passed: ")
    (broken,) = found(summary(), measure="verdict", score="beam_sum", not_in=["degraded"])
    assert github_summary([broken], "r").startswith("### aftertune gate failed: ")


def test_a_terminal_without_unicode(tmp_path):
    run, file = run_folder(tmp_path / "ü→", content()), policy(tmp_path / "p.yaml", BROKEN)
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "aftertune", "gate", str(run), "--policy", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "0 of 1 rule passes" in done.stdout
    assert done.stderr.startswith("breach: ")


def test_files(tmp_path):
    run, file = run_folder(tmp_path / "run", content()), policy(tmp_path / "p.yaml", HOLDS, BROKEN)
    step = tmp_path / "step.md"
    step.write_text("before\n\n")
    command = ["gate", str(run), "--policy", str(file), "--junit", str(tmp_path / "new" / "j.xml"),
               "--github-summary", str(step)]  # fmt: skip
    assert main(command) == 1
    assert main(command) == 1
    text = step.read_text()
    assert text.startswith("before\n\n### aftertune gate failed: 1 of 2 rules pass (4 values)\n\n")
    assert text.count("### aftertune gate") == 2
    assert ElementTree.parse(tmp_path / "new" / "j.xml").getroot().get("failures") == "1"
    assert main(["gate", str(run), "--policy", str(file), "--github-summary", str(tmp_path / "no" / "s.md")]) == 2


# JUnit and GitHub


def findings() -> list[Finding]:
    run = summary(comparison({"a": score(), "b": score("undefined"), "c": score("fell")}))
    return found(run, score="all", measure="verdict", not_in=["fell"], undefined="pass")


def test_junit_is_what_its_readers_expect():
    root = ElementTree.fromstring(junit(findings(), "runs/x"))
    assert (root.tag, root.attrib) == (
        "testsuites", {"name": "aftertune gate", "tests": "3", "failures": "1", "errors": "0"}
    )  # fmt: skip
    (suite,) = root
    assert suite.attrib == {
        "name": "runs/x", "tests": "3", "failures": "1", "errors": "0", "skipped": "1", "time": "0"
    }  # fmt: skip
    assert [[part.tag for part in case] for case in suite] == [[], ["skipped"], ["failure"]]
    for case in suite:
        assert case.tag == "testcase"
        assert set(case.attrib) == {"classname", "name", "time"}
        assert case.get("classname") == "r"
    names = [case.get("name") for case in suite]
    assert len(set(names)) == 3
    failure = suite[2][0]
    assert failure.attrib == {"message": "verdict is fell", "type": "breach"}
    assert failure.text == "r: c, llama on squad, before → selected: verdict is fell; wanted: not fell"


class Texts(html.parser.HTMLParser):
    """Tags that are used, and the texts of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.cells = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert [name for name, _ in attrs if name != "colspan"] == []
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


HOSTILE = [
    "m\x1b[31mred\x1b[0m", "a|b||c\\|d", "`x` ``y``", "<script>alert(1)</script>", "</code></td></table>@everyone",
    "@octocat", "#12 GH-3", "https://evil.example www.evil.example", "![x](http://evil.example/x.png)", "a\n\nb",
    "a\r\n\r\n# head", "]]>", "<!-- x", "&lt;&#x3c;", '"\'', "\x00", "\ufffe\uffff", "\u202egnp.exe", "::error::x",
    "\U000e0041", "\x9b31m", "字 é 👍", ":tada:", "${{ secrets.X }}", "&" * 99, "\u2028x\u2029", "\x0b\x0c\x85",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_texts_from_outside_are_obeyed_by_nobody(tmp_path, capsys, name):
    row = check("warning", name, message=name)
    one = comparison({name: score("fell", status=name)}, model=name, task=name)
    run = run_folder(tmp_path / "run", content(one, checks=[row], recommendation=[]))
    rule = {"name": "r", "measure": "verdict", "score": "all", "in": ["holds"]}
    checks = {"name": "checks", "measure": "checks", "not_in": ["warning"]}
    (tmp_path / "p.yaml").write_text(json.dumps({"rules": [rule, checks]}))
    command = ["gate", str(run), "--policy", str(tmp_path / "p.yaml"), "--junit", str(tmp_path / "j.xml"),
               "--github-summary", str(tmp_path / "s.md")]  # fmt: skip
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert [line.startswith("breach: ") for line in err.splitlines()] == [True, True]
    said = (out, err, (tmp_path / "j.xml").read_text(), (tmp_path / "s.md").read_text())
    assert not any(OBEYED.search(text) for text in said)
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()[0]
    assert [len(case) for case in suite] == [1, 1]
    words = [word for word in re.findall("[a-zé字👍]+", name) if word]
    assert all(word in suite[0].get("name") for word in words)
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table").parse(said[3])
    assert [token.type for token in markdown] == ["heading_open", "inline", "heading_close", "html_block"]
    read = Texts()
    read.feed(markdown[-1].content)
    assert read.tags == {"p", "table", "tr", "th", "td", "code"}
    assert len(read.cells) == 2 * 5
    assert all(word in read.cells[2] for word in words)


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=30))
def test_any_text_can_be_written(text):
    for state in ("breach", "passed over", "passes"):
        finding = Finding(rule=text, subject=text, value=text, limit=text, state=state)
        assert len(ElementTree.fromstring(junit([finding], text))[0]) == 1
        read = Texts()
        read.feed(github_summary([finding], text))
        assert len(read.cells) == 5


def test_a_summary_for_github_has_an_end(monkeypatch):
    monkeypatch.setattr(gate_files, "MOST_BYTES", 1_000)
    many = [Finding(rule="r", subject=f"s{i}", value="x", limit="y", state="passes") for i in range(100)]
    text = github_summary(
        [*many, many[0].__class__(rule="r", subject="b", value="x", limit="y", state="breach")], "run"
    )
    assert len(text) < 2_000
    assert "❌" in text  # breaches come first
    assert re.search(r"[0-9]+ more lines", text)


# The page


PAGE = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_policy_of_the_page_can_be_read(tmp_path):
    (tmp_path / "policy.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    assert len(read_policy(tmp_path / "policy.yaml").policy.rules) == 5


def test_the_page_names_every_key_measure_and_word():
    for name, field in {**Rule.model_fields, **Policy.model_fields}.items():
        assert f"`{field.alias or name}`" in PAGE or f"{name}:" in PAGE
    for name in (*get_args(Rule.model_fields["measure"].annotation), *FAIL_ON, *CHOICES):
        assert f"`{name}`" in PAGE


def test_the_workflow_of_the_page_is_one():
    workflow = YAML(typ="safe", pure=True).load(blocks("yaml")[1])
    assert set(workflow) == {"name", "on", "permissions", "jobs"}
    (job,) = workflow["jobs"].values()
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v[0-9]+", step.get("uses", "actions/x@v1"))
        assert "${{" not in step.get("run", "")  # a text of an input would become a command
    commands = [line for text in (*blocks("sh"), *(s.get("run", "") for s in job["steps"]))
                for line in text.replace("\\\n", " ").splitlines() if line.startswith("aftertune ")]  # fmt: skip
    assert len(commands) == 4
    group = typer.main.get_command(app)
    for command in commands:
        name, *arguments = shlex.split(command)[1:]
        group.commands[name].make_context(name, list(arguments))  # pyright: ignore[reportAttributeAccessIssue]
    uploaded = next(s["with"]["path"].split() for s in job["steps"] if "upload" in s.get("uses", ""))
    assert uploaded == ["runs/audit/report.html", "runs/audit/summary.json", "gate.xml"]
