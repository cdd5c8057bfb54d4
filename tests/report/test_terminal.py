"""What is printed, at 80 columns and at 120."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aftertune.analysis.schema import RECOMMENDATION, Analysis
from aftertune.report.palette import LOOKS
from report_rows import both, row
from report_text import printed


@pytest.mark.parametrize("width", [80, 104, 120])
def test_our_scores_fit_uncut_on_one_line(make_change, width: int) -> None:
    rows = tuple(
        make_change(name, mean=-0.123, ci_low=-0.2, ci_high=0.1, verdict="inconclusive") for name in LOOKS
    )
    text = printed(Analysis.of(change=both(rows)), width)
    table = text.split("test items")[0].splitlines()
    assert all(len(line) <= width for line in text.splitlines())
    for name in LOOKS:
        (line,) = [line for line in table if line.split() and line.split()[0] == name]
        assert "inconclusive" in line
        assert line.split()[-1] == "yes"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_are_no_markup_and_no_emoji(make_change, encoding: str) -> None:
    """By a console as rich makes it."""
    change = make_change("s[red]:x:")._replace(model="m[/b]", task=":heart:")
    text = printed(Analysis.of(change=both([change]), notes=("judge openai:x: [bold]",)), 120, encoding)
    assert "m[/b] on :heart:" in text
    assert "s[red]:x:" in text
    assert "Note: judge openai:x: [bold]" in text


def test_a_long_name_is_folded_not_cut(make_change) -> None:
    name = "my_very_long_confidence_score[temperature=0.5,samples=20]"
    text = printed(Analysis.of(change=both([make_change(name)])), 80)
    table = text.split("test items")[0]
    assert "…" not in table
    assert name in "".join(line[: f"{line} ".find(" ")] for line in table.splitlines()[1:])


def test_names_cannot_style_or_steer_the_terminal(make_change) -> None:
    rows = (make_change("[red]s[/red]", model="\x1b[31mm"),)
    text = printed(Analysis.of(change=both(rows)), 120)
    assert "[red]s[/red]" in text
    assert "\x1b" not in text


def test_a_terminal_without_unicode(one_of_each) -> None:
    text = printed(one_of_each, 80, encoding="ascii")
    assert "-0.50 [-0.60, -0.40] degraded" in text
    assert "before fine-tuning > selected checkpoint" in text
    assert "?" not in text


def test_all_undefined_needs_no_table(make_change) -> None:
    rows = tuple(
        make_change(
            s,
            mean=float("nan"),
            ci_low=float("nan"),
            ci_high=float("nan"),
            verdict="undefined",
            status="no",
            usable="",
        )
        for s in ("a", "b")
    )
    text = printed(Analysis.of(change=both(rows)), 80)
    assert "Nothing can be said, because no: all 2 scores undefined." in text
    assert "verdict" not in text


def test_many_notes_and_no_change(make_correlation) -> None:
    rows = (make_correlation("s", 0, 0.5),)
    text = printed(Analysis.of(correlation=rows, notes=tuple(f"n{i}" for i in range(7))), 80)
    assert "One checkpoint only: there is no change to judge." in text
    assert [line for line in text.splitlines() if "Note" in line] == [f"Note: n{i}" for i in range(7)]


def test_piped_lines_have_nothing_around_them(one_of_each) -> None:
    for line in printed(one_of_each, 80).splitlines():
        assert line == line.strip()


def test_the_recommended_score_is_first_and_marked(one_of_each) -> None:
    said = row(
        RECOMMENDATION, role="recommended", score="rising", chosen_on="named", from_="before", to="selected"
    )
    text = printed(
        replace(one_of_each, tables=one_of_each.tables | {"recommendation": RECOMMENDATION.frame([said])})
    )
    table = text.split("before fine-tuning → selected checkpoint")[1].splitlines()[2:]
    assert [line.split()[0] for line in table[:3]] == ["rising", "holding", "vague"]
    assert table[0].startswith("rising * ")
    assert "; * recommended." in text
