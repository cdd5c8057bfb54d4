"""Which answers stand for Figure 1 of the paper, and what is said of them on the page and on the terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html import unescape

import pytest
from rich.console import Console

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import ALERTS, Analysis, Row
from aftertune.report.acting import acting
from aftertune.report.page import render
from aftertune.report.terminal import print_verdicts
from aftertune.report.told import Told, at, later, told_answers
from aftertune.stats.alerts import alert
from downstream_samples import labelled, with_correct
from record_samples import together, with_rows


def line(item: str, checkpoint: str, chance: float | None, correct: bool | None, **given) -> Row:
    base = {
        "model": "m",
        "task": "t",
        "setting": "default",
        "seed": 0,
        "epoch": 0.0 if checkpoint == "before" else 3.0,
        "score": "s",
        "confidence": chance,
        "input": f"question {item}",
        "references": ("expected",),
        "output": f"{item} {checkpoint}",
    }
    said = alert(float("nan") if chance is None else chance)
    fixed = {"item_id": item, "checkpoint": checkpoint, "chance": chance, "correct": correct, "alert": said}
    return ALERTS.row(**{**base, **fixed, **given})


def ends(
    item: str, before: float | None, was: bool | None, after: float | None, now: bool | None, to: str = "selected"
) -> list[Row]:
    return [line(item, "before", before, was), line(item, to, after, now)]


RIGHT_TO_WRONG = ends("a", 0.30, True, 0.55, False)
STAYS_WRONG = ends("b", 0.10, False, 0.95, False)
STAYS_RIGHT = ends("c", 0.90, True, 0.40, True)
TURNED_RIGHT = ends("d", 0.90, False, 0.10, True)


def told(*pairs: list[Row]) -> dict[str, Told]:
    found = told_answers([one for pair in pairs for one in pair])
    return {one.kind: one for one in found}


def test_right_before_and_wrong_after_comes_first() -> None:
    found = told(STAYS_WRONG, RIGHT_TO_WRONG, ends("e", 0.30, True, 0.54, False), STAYS_RIGHT, TURNED_RIGHT)
    assert list(found) == ["turned wrong", "right"]
    one = found["turned wrong"]
    assert ([one.before, one.after], one.n, one.of) == (RIGHT_TO_WRONG, 2, 5)
    assert (one.title, one.side) == ("trusted more, now wrong", "overconfident")
    assert one.sentence == (
        "Right before fine-tuning, wrong at the selected checkpoint, and yet the stated chance rose: 2 of 5 test "
        "answers, most of all this one."
    )
    other = found["right"]
    assert ([other.before, other.after], other.n, other.side) == (TURNED_RIGHT, 2, "underconfident")
    assert other.sentence == (
        "Right at the selected checkpoint, and yet the stated chance fell: 2 of 5 test answers, most of all this "
        "one. It was wrong before fine-tuning."
    )


def test_else_a_wrong_one_whose_chance_rose_most_and_words_say_so() -> None:
    fell = ends("e", 0.9, True, 0.2, False)
    found = told(STAYS_WRONG, fell, STAYS_RIGHT)
    one = found["wrong"]
    assert ([one.before, one.after], one.n, one.of) == (STAYS_WRONG, 1, 3)
    assert one.sentence == (
        "No answer that turned from right to wrong has a higher stated chance at the selected checkpoint. Wrong "
        "there, and yet the stated chance rose: 1 of 3 test answers, most of all this one. It was wrong before "
        "fine-tuning too."
    )
    unjudged = told(ends("f", 0.1, None, 0.5, False))["wrong"]
    assert unjudged.sentence.endswith("Whether it was right before fine-tuning is not known.")
    assert found["right"].sentence.endswith("It was right before fine-tuning too.")


def test_nothing_where_no_wrong_answer_is_trusted_more() -> None:
    assert told(ends("a", 0.5, True, 0.2, False), ends("b", 0.5, True, 0.9, True)) == {}
    assert told() == {}


@pytest.mark.parametrize("order", [1, -1])
def test_ties_go_by_item_id(order: int) -> None:
    pairs = [ends(name, 0.25, True, 0.5, False) for name in ("b", "a", "c")][::order]
    assert told(*pairs)["turned wrong"].after.item_id == "a"


def test_a_move_that_nobody_reads_does_not_count() -> None:
    """53.1 % and 53.4 % are both told as 53 %, so are 0 % and 1 %."""
    assert told(ends("a", 0.531, True, 0.534, False), ends("b", 0.01, True, 0.0, True)) == {}
    assert list(told(ends("a", 0.534, True, 0.535, False))) == ["turned wrong"]


def test_answers_that_are_told_nothing_at_one_end_are_left_out() -> None:
    lacking = [
        ends("e", None, True, 0.99, False),
        ends("f", 0.01, True, None, False),
        ends("g", 0.01, True, 0.99, None),
        [line("h", "selected", 0.99, False)],
        [line("i", "before", 0.1, True, output=None), line("i", "selected", 0.9, False)],
    ]
    one = told(*lacking, RIGHT_TO_WRONG)["turned wrong"]
    assert (one.after.item_id, one.n, one.of) == ("a", 1, 2)
    assert one.sentence.endswith("1 of 2 test answers, this one.")


def test_one_checkpoint_alone_and_epoch_1() -> None:
    alone = [pair[0] for pair in (RIGHT_TO_WRONG, STAYS_WRONG)]
    assert (told_answers(alone), later(alone)) == ((), alone)
    runs = [line("a", "epoch_1", 0.1, True), line("a", "last", 0.8, False)]
    (one,) = told_answers(runs)
    assert one.sentence.startswith("Right at epoch 1, wrong at the last checkpoint,")
    assert later(runs) == runs[1:]
    assert at("epoch_1") == "at epoch 1"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(labelled(), resamples=200)


def test_of_the_first_run_by_brute_force(analysis: Analysis) -> None:
    (act,) = acting(analysis)
    own = [a for a in analysis.rows("alerts") if a.seed == 0]
    both = list(zip(own[::2], own[1::2], strict=True))
    assert all((b.item_id, b.checkpoint, a.checkpoint) == (a.item_id, "before", "selected") for b, a in both)
    rises = [((a.chance or 0) - (b.chance or 0), a.item_id) for b, a in both if b.correct and not a.correct]
    falls = [((b.chance or 0) - (a.chance or 0), a.item_id) for b, a in both if a.correct]
    worse, better = act.told
    for one, moves in ((worse, rises), (better, falls)):
        assert one.after.item_id == min(moves, key=lambda move: (-move[0], move[1]))[1]
        assert one.of == 120
        assert 1 < one.n <= sum(move > 0 for move, _ in moves)
    assert [worse.kind, better.kind] == ["turned wrong", "right"]


def page(analysis: Analysis) -> str:
    html = render(analysis, title="x", settings={}, signatures={})
    found = re.search(r'<section id="acting">(.*?)</section>', html, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_cards_on_the_page(analysis: Analysis) -> None:
    html = page(analysis)
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
    worse, better = acting(analysis)[0].told
    for one in (worse, better):
        assert one.sentence in text
        before, after = (f"{x.output} “{x.alert}.”" for x in (one.before, one.after))
        assert before in text
        assert f"{after} The old map would say" in text
    assert (
        f"Question {worse.after.input} Expected answer {worse.after.references[0]} Before fine-tuning ✓ right"
        in text
    )
    assert f"Selected checkpoint ✗ wrong {worse.after.output}" in text
    assert f"Selected checkpoint ✓ right {better.after.output}" in text
    widths = re.findall(r'<span style="width: (\d+)%">', html)
    said = [x.alert for one in (worse, better) for x in (one.before, one.after)]
    assert [f"There is an estimated {w} % chance the answer is right" for w in widths] == said
    assert len(re.findall('class="meter wrong"', html)) == 1
    assert "Right, of 120 judged and scored answers: " in text


def test_texts_on_cards_are_escaped(analysis: Analysis) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=y>"
    alerts = tuple(
        a._replace(output=hostile, input=hostile, references=(hostile,), item_id=f"{hostile}{a.item_id}")
        for a in analysis.rows("alerts")
    )
    html = page(with_rows(analysis, alerts=alerts))
    assert html.count("&lt;script&gt;") >= 12
    assert "<script" not in html
    assert "<img src=x" not in html


def test_long_and_empty_outputs(analysis: Analysis) -> None:
    long = with_rows(analysis, alerts=tuple(a._replace(output="x" * 700) for a in analysis.rows("alerts")))
    assert f"<summary>the rest</summary>{'x' * 100}</details>" in page(long)
    empty = with_rows(analysis, alerts=tuple(a._replace(output="") for a in analysis.rows("alerts")))
    assert "<blockquote>(empty)</blockquote>" in page(empty)


def test_no_cards_without_an_earlier_chance(analysis: Analysis) -> None:
    bare = tuple(a._replace(chance=None) if a.checkpoint == "before" else a for a in analysis.rows("alerts"))
    html = page(with_rows(analysis, alerts=bare))
    assert "Figure 1" not in html
    assert 'class="meter' not in html
    assert "✗ wrong" in html


def printed(analysis: Analysis, width: int = 120, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_verdicts(Console(file=file, width=width, force_terminal=False), analysis)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # pyright: ignore[reportAttributeAccessIssue]


def test_terminal_names_the_best_on_validation_and_an_alert(analysis: Analysis) -> None:
    text = " ".join(printed(analysis).split())
    row = next(r for r in analysis.rows("downstream_change") if (r.score, r.ci_scope) == ("sharp", "training"))
    shares = [
        sum(r.n_correct for r in analysis.rows("downstream") if (r.score, r.epoch) == ("sharp", epoch)) / 240
        for epoch in (0, 2)
    ]
    worse = acting(analysis)[0].told[0]
    before, after = (re.sub(r"\D", "", one.alert) for one in (worse.before, worse.after))
    apart = acting(analysis)[0].told_apart
    assert apart.answer.startswith("Yes, by sharp: ")
    block = (
        f"tiny on toy: can a person act on it? {apart.answer} Before: {row.auroc_from:.3f}, change "
        f"{row.mean:+.3f} [{row.ci_low:+.3f}, {row.ci_high:+.3f}]. {apart.choice} Right, of 120 judged and "
        f"scored answers: {100 * shares[0]:.0f} % before fine-tuning, {100 * shares[1]:.0f} % at the "
        f"selected checkpoint. Trusted more, now wrong: item {worse.after.item_id}, seed 0, told {before} % "
        f"before (right), {after} % after (wrong)."
    ).replace("-0.", "−0.")
    assert block in text


def test_terminal_warns_of_a_score_that_is_not_shown(analysis: Analysis) -> None:
    low = tuple(row._replace(auroc_ci_low=0.4) for row in analysis.rows("downstream"))
    text = " ".join(printed(with_rows(analysis, downstream=low)).split())
    assert "Not shown: sharp looks best on validation, but is not shown to beat chance on test" in text
    assert "after (wrong). Do not act on such percentages: sharp is not shown to tell right from wrong." in text
    assert "Do not act" not in printed(analysis)


def test_terminal_names_a_seed_only_where_there_are_several_and_checkpoints_that_are_not_before() -> None:
    alone = analyse(labelled(seeds=(0,), epochs=(1, 2), chosen=9), resamples=100)
    text = " ".join(printed(alone).split())
    assert re.search(
        r"item test-\d+, told \d+ % at epoch 1 \(right\), \d+ % at the last checkpoint \(wrong\)\.", text
    )

    assert re.search(r"0\.5 is chance\)\. At epoch 1: 0\.\d{3}, change", text)
    assert "Before:" not in text


def test_terminal_says_of_which_items_a_change_is() -> None:
    """The AUROC after fine-tuning is of all judged answers; before it a third is not judged."""
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    known = [None if e == 0 and i % 3 == 0 else c for i, (c, e) in enumerate(zip(records.correct, records.epoch))]
    analysis = analyse(with_correct(records, known), resamples=100)
    best = next(one for one in acting(analysis)[0].scores if one.score == "sharp")
    after = next(row.auroc for row in analysis.rows("downstream") if (row.score, row.epoch) == ("sharp", 1))
    text = " ".join(printed(analysis).split())
    assert f"(AUROC {after:.3f} [" in text
    assert f"Before: {best.before:.3f}, change −{-best.change:.3f} [" in text
    assert f"] to {best.before + best.change:.3f} (on the 80 items judged and scored at both)." in text
    assert f"{after:.3f}" != f"{best.before + best.change:.3f}"


@pytest.mark.parametrize(("unjudged", "said"), [(0, "Yes, by sharp: "), (1, "Not shown: sharp looks best")])
def test_a_checkpoint_whose_test_answers_are_not_judged(unjudged: int, said: str) -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    hidden = (records.split == "test") & (records.epoch == unjudged)
    analysis = analyse(
        with_correct(records, [None if h else c for h, c in zip(hidden, records.correct)]), resamples=100
    )
    text = " ".join(printed(analysis).split())
    assert f"can a person act on it? {said}" in text
    assert "Before:" not in text
    review = " ".join(acting(analysis)[0].review)
    assert "nan" not in review
    assert ("No test answer is judged to show what comes of it." in review) == (unjudged == 1)


def test_terminal_says_why_there_are_no_percentages() -> None:
    text = " ".join(printed(analyse(labelled(seeds=(0,), validation=10), resamples=100)).split())
    assert "There are no percentages (10 validation items: a map needs 20)." in text
    assert "told" not in text


def test_terminal_without_validation_has_a_table() -> None:
    analysis = analyse(labelled(seeds=(0,), validation=0), resamples=100)
    text = printed(analysis)
    for row in [r for r in analysis.rows("downstream_change") if r.from_ == "before"]:
        (found,) = [
            one.split() for one in text.splitlines() if one.split()[:2] == [row.score, f"{row.auroc_from:.3f}"]
        ]
        assert found[2] == f"{row.auroc_to:.3f}"
        assert found[3] == f"{row.mean:+.3f}".replace("-", "−")
    assert "AUROC before" in text
    assert "There is an estimated" not in text


def test_terminal_table_has_five_scores_at_most() -> None:
    records = labelled(seeds=(0,), validation=0, epochs=(0,), chosen=9)
    scores = {f"s{i}": records.scores["sharp"] for i in range(7)}
    text = printed(analyse(replace(records, scores=scores), resamples=100), width=80)
    assert [
        line.split()[0] for line in text.splitlines() if re.match(r"s\d +0\.\d\d \[0\.\d\d, [01]\.\d\d\] *$", line)
    ] == [f"s{i}" for i in range(5)]
    assert " 2 more scores in the report." in text


def test_terminal_falls_back_to_a_typical_wrong_answer() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(0,), chosen=9), resamples=100)
    text = " ".join(printed(analysis).split())
    wrong = acting(analysis)[0].alerts[1]
    said = re.sub(r"\D", "", wrong.alert)
    assert f"An answer in the middle of the wrong ones: item {wrong.item_id}, told {said} %." in text
    row = analysis.rows("downstream")[0]
    ends = f"[{row.auroc_ci_low:.3f}, {row.auroc_ci_high:.3f}]"
    assert f"(AUROC {row.auroc:.3f} {ends} before fine-tuning; 0.5 is chance)" in text


def test_terminal_is_silent_without_labels_and_with_one_class() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    for correct in (None, True):
        plain = analyse(with_correct(records, [correct] * len(records)), resamples=100)
        assert "can a person act" not in printed(plain)


def test_terminal_is_not_steered_by_names_and_needs_no_unicode(analysis: Analysis) -> None:
    alerts = tuple(a._replace(item_id=f"\x1b[31m{a.item_id}") for a in analysis.rows("alerts"))
    assert "\x1b" not in printed(with_rows(analysis, alerts=alerts))
    text = printed(analysis, width=80, encoding="ascii")
    assert "Trusted more, now wrong: item test-" in text
    assert text.count("?") == text.count("act on it?")
    assert all(len(line) <= 80 for line in text.splitlines())


def test_terminal_leaves_out_settings_without_a_comparison() -> None:
    """Such as those with another number of training items, of which the last checkpoint alone is measured."""
    alone = labelled(seeds=(0,), epochs=(3,), chosen=9, model="alone")
    assert "alone on toy" in printed(analyse(alone, resamples=100))
    text = printed(analyse(together(labelled(seeds=(0,)), alone), resamples=100))
    assert "tiny on toy: can a person act on it?" in text
    assert "alone on toy" not in text
