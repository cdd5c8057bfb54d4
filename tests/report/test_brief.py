"""What a command prints without --verbose: 30 lines of 80 columns at most, and first what decides."""

from __future__ import annotations

import re
from math import nan

import pytest
from rich.cells import cell_len

from aftertune.analysis.schema import CHECKS, DOWNSTREAM, DOWNSTREAM_CHANGE, RECOMMENDATION, Analysis
from aftertune.report import brief
from aftertune.report.brief import MOST_LINES
from aftertune.report.overview import overviews
from aftertune.report.palette import LOOKS
from aftertune.report.summary import Summary, summarise
from report_rows import both, row
from report_text import briefly

VERDICTS = ("improved", "holds", "inconclusive", "degraded", "fell")
PATHS = (
    "report: runs/audit/report.html",
    "tables: runs/audit/tables",
    "more: aftertune report runs/audit --verbose",
)


def study(
    make_change,
    settings: int = 1,
    scores: int = 13,
    *,
    findings: int = 0,
    relied_on: bool = False,
    judged: bool = False,
    compared: bool = True,
    none: bool = False,
    model: str = "tiny-llama-{}",
) -> Summary:
    """Settings with all verdicts in turn; the third score is recommended, the first one relied on."""
    names = [*LOOKS, *(f"another_score[temperature={i / 10}]" for i in range(40))][:scores]
    changes, said, checks, areas, ends = [], [], [], [], []
    for k in range(settings):
        own = {"model": model.format(k), "task": "translation"}
        for i, name in enumerate(names if compared else ()):
            verdict = VERDICTS[(i + k) % 5]
            more = {"usable": "yes" if i < 6 else "not shown", "simultaneous": True, "value_from": 0.5 - i / 100}
            changes.append(make_change(name, verdict=verdict, value_to=0.6 - i / 50, **own, **more))
        place = {"from_": "before" if compared else "", "to": "selected", "n_scores": scores, "graded": not judged}
        numbers = {"concordance": 0.75, "concordance_low": 0.7, "concordance_high": 0.8, "review_share": 0.2}
        numbers |= dict.fromkeys(("quality_all", "quality_kept", "wrong_found"), 0.5) | {"usable": "yes"}
        status = {"status": "no score is shown to be usable", "usable": ""} if none else {}
        verdict = VERDICTS[(2 + k) % 5] if compared else ""
        chosen = {
            "role": "recommended",
            "score": names[2 % scores],
            "verdict": verdict,
            "chosen_on": "cross-fitting",
        }
        if relied_on:
            named = {"role": "relied on", "score": names[0], "verdict": "improved", "chosen_on": "named"}
            said.append(row(RECOMMENDATION, **own, **place, **numbers, **named))
        said.append(row(RECOMMENDATION, **{**own, **place, **numbers, **chosen, **status}))
        for i in range(findings):
            message = (
                f"{i} % of answers after fine-tuning were cut at the limit of 64 tokens: " + "and so on " * 20
            )
            checks.append(row(CHECKS, **own, check="token limit", value=i / 100, level="warning", message=message))
        for i, name in enumerate(names if judged else ()):
            end = {"n": 100, "n_correct": 60, "auroc": 0.8, "auroc_ci_low": 0.7, "auroc_ci_high": 0.9}
            ends += [row(DOWNSTREAM, **own, score=name, epoch=e, selected=e > 0, **end) for e in (0, 1)]
            move = {"auroc_from": 0.8, "auroc_to": 0.75 - i / 100, "mean": -0.05, "ci_low": -0.1, "ci_high": 0.0}
            both_ends = {"from_": "before", "to": "selected", "n_items": 100, "ci_scope": "models"}
            areas.append(row(DOWNSTREAM_CHANGE, **own, score=name, **both_ends, **move))
    return summarise(
        Analysis.of(
            change=both(changes), recommendation=said, checks=checks, downstream=ends, downstream_change=areas,
            notes=("PARTIAL: the run was stopped", *(f"note {i}" for i in range(20))),
        )
    )  # fmt: skip


SHAPES = {
    "one": {},
    "one score": {"scores": 1},
    "30 scores, judged, relied on": {"scores": 30, "judged": True, "relied_on": True, "findings": 20},
    "two": {"settings": 2, "judged": True, "findings": 9},
    "four": {"settings": 4, "judged": True, "relied_on": True, "findings": 9},
    "12 × 30": {"settings": 12, "scores": 30, "findings": 2},
    "90": {"settings": 90, "scores": 2, "judged": True, "findings": 1},
    "nothing recommended": {"settings": 3, "none": True},
    "one checkpoint": {"compared": False, "judged": True},
    "one checkpoint of several": {"settings": 40, "compared": False},
    "no setting": {"settings": 0},
    "long names": {"settings": 3, "model": "m" * 20_000 + "{}", "findings": 3},
    "a long name": {"model": "語" * 5_000 + "{}", "findings": 3},
}


@pytest.fixture(scope="module")
def made() -> dict[str, Summary]:
    """Shape → its summary, made once."""
    return {}


@pytest.fixture
def summary(make_change, made, shape: str) -> Summary:
    if shape not in made:
        made[shape] = study(make_change, **SHAPES[shape])
    return made[shape]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_30_lines_at_most(summary: Summary, terminal: bool) -> None:
    for paths in (PATHS, [path + "/deep" * 40 for path in PATHS]):
        text = re.sub("\x1b\\[[0-9;]*m", "", briefly(summary, 80, paths=paths, terminal=terminal))
        lines = text.splitlines()
        assert sum(max(1, -(-cell_len(line) // 80)) for line in lines) <= MOST_LINES
        assert all(cell_len(line) <= 80 for line in lines[: -len(paths)])
        assert lines[-len(paths) :] == list(paths)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("shape", SHAPES)
def test_plain_where_it_is_piped(summary: Summary, width: int) -> None:
    for line in briefly(summary, width, paths=PATHS).splitlines():
        assert line == line.strip()
        assert line.isprintable()
        assert not re.search("[\u2500-\u257f]", line)
        assert cell_len(line) <= width or line in PATHS


def test_the_recommended_score_is_first_and_marked_and_no_score_is_lost(make_change) -> None:
    text = briefly(study(make_change, scores=30), paths=PATHS)
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[:3] == ["score", "before", "after"])
    assert lines[head + 1].startswith("beam_importance_weighted * ")
    rows = [line for line in lines[head + 1 :] if line.split()[-1:] in (["yes"], ["shown"])]
    more = re.search(r"^(\d+) more: (.*)$", text, re.MULTILINE)
    assert more is not None
    assert len(rows) + int(more[1]) == 30
    assert sum(map(int, re.findall(r"\d+", more[2]))) == int(more[1])
    assert "* recommended" in " ".join(text.split())
    # Usable ones that survived, other usable ones, the others.
    states = [("yes" in line.split(), "improved" in line or "holds" in line) for line in rows[1:]]
    assert states == sorted(states, key=lambda state: (not state[0], not state[1] if state[0] else False))


def test_what_is_relied_on_is_marked_too(make_change) -> None:
    text = briefly(study(make_change, relied_on=True))
    assert re.search("^mean_token_logprob ° ", text, re.MULTILINE)
    assert "* recommended; ° relied on" in " ".join(text.split())
    flat = " ".join(text.split())
    assert "Of all scores, beam_importance_weighted is recommended (75 of 100 pairs [70, 80]; mean quality" in flat


def test_near_duplicates_share_a_row(make_change, monkeypatch) -> None:
    def folded(summary):
        (one,) = overviews(summary)
        first, second, *rest = one.lines
        line = type(first)(outcome=first.outcome, role=first.role, place=first.place, alike=(second.score,))
        return (type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"lines": (line, *rest)}),)

    monkeypatch.setattr(brief, "overviews", folded)
    text = briefly(study(make_change, scores=20))
    assert re.search("^beam_importance_weighted [+]1 [*] ", text, re.MULTILINE)
    wide = briefly(study(make_change, scores=20), 120)
    assert re.search("^beam_importance_weighted [(][+]1 alike[)] [*] ", wide, re.MULTILINE)
    rows = [line for line in text.splitlines() if re.search(r"\] +\w+ +(yes|not shown)$", line)]
    more = re.search(r"^(\d+) more: ", text, re.MULTILINE)
    assert more is not None
    assert len(rows) + 1 + int(more[1]) == 20


def test_settings_have_a_row_each_and_the_rest_are_counted(make_change) -> None:
    text = briefly(study(make_change, settings=2))
    assert re.search(
        r"^tiny-llama-0 on translation +beam_importance_weighted +inconclusive +yes +75 %$", text, re.M
    )
    assert "tiny-llama-1 on translation: Use beam_importance_weighted." in text
    said = "Of 26 verdicts on scores: 5 improved, 6 holds, 5 degraded, 4 fell, 6 inconclusive."
    assert said in " ".join(text.split())
    text = briefly(study(make_change, settings=90, scores=3))
    rows = re.findall(r"^tiny-llama-\d+ on translation +beam", text, re.MULTILINE)
    more = re.search(r"^(\d+) more settings: ", text, re.MULTILINE)
    assert more is not None
    assert len(rows) + int(more[1]) == 90
    assert "Recommended, of 90 settings: beam_importance_weighted in 90." in text


def test_settings_without_a_comparison_stand_aside_where_one_has_some(make_change, make_correlation) -> None:
    change = make_change("s", model="a")
    alone = row(RECOMMENDATION, model="b", task="t", role="recommended", score="s", chosen_on="named", to="last")
    compared = row(RECOMMENDATION, model="a", role="recommended", score="s", chosen_on="named", to="selected")
    text = briefly(summarise(Analysis.of(change=both([change]), recommendation=[compared, alone])))
    assert "a on t: before fine-tuning" in text
    assert "b on t" not in text


def test_checks_that_are_green_have_one_line(make_change) -> None:
    good = row(CHECKS, check="duplicates", level="ok", value=0.0)
    note = row(CHECKS, check="quality", level="note", value=3.0, message="a note")
    bad = row(CHECKS, check="token limit", level="warning", value=0.5, message="half of them were cut")
    change = both([make_change("s")])
    assert briefly(summarise(Analysis.of(change=change, checks=[good]))).startswith("Checks: all 1 passed.\n\n")
    text = briefly(summarise(Analysis.of(change=change, checks=[good, note, bad])))
    assert text.startswith("Checks: 3 made, 1 warning, 1 note.\n⚠ half of them were cut\n\n")
    assert "a note" not in text


def test_a_run_that_is_not_at_its_end_says_so_first(make_change) -> None:
    assert briefly(study(make_change)).startswith("PARTIAL: the run was stopped\n")


def test_right_and_wrong_in_one_sentence(make_change) -> None:
    text = " ".join(briefly(study(make_change, judged=True)).split())
    assert (
        "AUROC of beam_importance_weighted 0.80 → 0.73 (change −0.07 [−0.10, +0.00]) on all test items. Right, of "
        "100 judged" in text
    )
    alone = " ".join(briefly(study(make_change, judged=True, compared=False)).split())
    assert "One checkpoint only: there is no change to judge." in alone


def test_undefined_everywhere(make_change) -> None:
    ends = dict.fromkeys(("mean", "ci_low", "ci_high", "value_from", "value_to"), nan)
    rows = [make_change(s, verdict="undefined", status="quality is constant", usable="", **ends) for s in "ab"]
    text = briefly(summarise(Analysis.of(change=both(rows))))
    assert "Nothing can be said, because quality is constant: all 2 scores undefined." in text


def test_a_terminal_without_unicode(make_change) -> None:
    text = briefly(study(make_change, relied_on=True, findings=2), encoding="ascii")
    assert "before fine-tuning > selected checkpoint" in text
    assert re.search("^beam_importance_weighted [*] ", text, re.MULTILINE)


def test_colours_on_a_terminal_alone(make_change) -> None:
    summary = study(make_change)
    assert "\x1b[" in briefly(summary, terminal=True)
    assert "\x1b" not in briefly(summary)
