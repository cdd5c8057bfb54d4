"""The page: self-contained, escaped, and honest about what was measured."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.schema import CASE1, DIRECTION, PAIRS, QUADRANTS, SIMILARITY, Analysis
from aftertune.report.page import render, write_all
from aftertune.report.summary import summarise
from report_rows import both, row
from report_text import read, visible

HOSTILE = '<script>alert("x")</script>&amp;\'"'


def words(page: str) -> str:
    return " ".join(visible(page).replace(" | ", " ").split())


def page(analysis: Analysis) -> str:
    return render(summarise(analysis), title="Title", settings={}, signatures={})


def test_everything_hostile_is_text(one_of_each, make_moved, make_items, tmp_path: Path) -> None:
    def named(row):
        return row._replace(model=HOSTILE, task=HOSTILE, setting=HOSTILE, score=HOSTILE)

    changes = tuple(named(row) for row in one_of_each.rows("change")[4:6])
    rows = [named(row) for row in one_of_each.rows("correlation")[4:6]]
    rows += [rows[0]._replace(epoch=2.0, spearman=float("nan"), status=HOSTILE)]
    names = {"model": HOSTILE, "task": HOSTILE, "setting": HOSTILE, "score": HOSTILE}
    texts = {"input": HOSTILE, "references": (HOSTILE,), "output_from": HOSTILE}
    texts["output_to"] = f"{HOSTILE}\x1b\0 1 0"
    analysis = Analysis.of(
        correlation=tuple(rows),
        change=changes,
        moved_items=(make_moved(HOSTILE, "overconfident", 0.5, **names, **texts),),
        notes=(HOSTILE,),
        **item_level_rows(**names, status=HOSTILE),
    )
    quality = {(0, 0): [1, 1, 0, 0], (0, 1): [0, 1, 0, 0]}
    scores = {HOSTILE: {(0, 0): [0, 1, 2, 3], (0, 1): [9, 1, 2, 3]}}
    hostile = np.full(8, HOSTILE, dtype=object)
    records = make_items(quality, scores, selected=[(0, 1)], model=hostile, task=hostile, setting=hostile)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a&b.csv").write_text("")
    path = write_all(
        tmp_path,
        summarise(analysis, records),
        title=HOSTILE,
        settings={HOSTILE: HOSTILE},
        signatures={HOSTILE: HOSTILE},
    )
    content = path.read_text(encoding="utf-8")
    reader = read(content)
    assert "script" not in reader.tags
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", content)
    assert "<script" not in content.lower()
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "".join(reader.text).count(HOSTILE) >= 20
    assert f"{HOSTILE}⟨U+001B⟩⟨U+0000⟩ 1 0" in "".join(reader.text)
    assert ("href", "tables/a%26b.csv") in reader.attributes


def test_nothing_is_fetched(one_of_each, tmp_path: Path) -> None:
    path = write_all(tmp_path, summarise(one_of_each), title="T", settings={}, signatures={})
    reader = read(path.read_text(encoding="utf-8"))
    assert not {"link", "script", "iframe", "object", "base"} & set(reader.tags)
    targets = [value or "" for name, value in reader.attributes if name in ("src", "href", "srcset", "action")]
    assert [t[:26] for t in targets if not t.startswith("#")] == ["data:image/svg+xml;base64,"]
    style = re.search(r"<style>(.*?)</style>", path.read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None
    assert "url(" not in style.group(1)
    assert "@import" not in style.group(1)
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [
        "correlation_before_after.png",
        "correlation_before_after.svg",
    ]


def test_the_same_page_twice(one_of_each, tmp_path: Path) -> None:
    made = [
        write_all(tmp_path / name, summarise(one_of_each), title="T", settings={}, signatures={}).read_bytes()
        for name in ("a", "b")
    ]
    assert made[0] == made[1]


def test_only_tables_that_exist_are_linked(one_of_each, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for name in ("change.csv", "change.md", "change.tex", "alerts.jsonl", "moved_items.jsonl", "mine.txt"):
        (tmp_path / "tables" / name).write_text("")
    path = write_all(tmp_path, summarise(one_of_each), title="T", settings={}, signatures={})
    links = re.findall(r'href="(tables/[^"]+)"', path.read_text(encoding="utf-8"))
    assert links == ["tables/alerts.jsonl", "tables/change.csv", "tables/moved_items.jsonl"]


def test_one_checkpoint(make_correlation) -> None:
    text = words(page(Analysis.of(correlation=(make_correlation("s", 0, 0.5),))))
    assert "there are no two checkpoints of one model and task to compare" in text
    assert "s 0 0.500 [+0.400, +0.600]" in text


def test_quality_by_hand(make_change, make_items) -> None:
    analysis = Analysis.of(change=both([make_change("lost")]))
    values = {(0, 0): [0.5, 0.5, 0.0, np.nan], (0, 1): [1, 0, 0, 0], (0, 3): [1.0, 0.25, 0.0, 1.0]}
    scores = {"lost": dict.fromkeys(values, [0] * 4)}
    (change,) = summarise(analysis, make_items(values, scores, selected=[(0, 3)])).quality
    assert (change.before, change.after) == pytest.approx((1 / 3, 1.25 / 3))
    assert (change.better, change.worse, change.same) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert (change.n_items, change.n_seeds) == (3, 1)
    validation = make_items(values, scores, selected=[(0, 3)], split=np.full(12, "validation", dtype=object))
    assert summarise(analysis, validation).quality == ()


def item_level_rows(*, status: str = "", **names: object) -> dict[str, tuple]:
    """One row of each table of the item level; similarity is undefined if there is a status."""
    step = {"from_epoch": 1.0, "to_epoch": 2.0}
    rho = {} if status else {"spearman": 0.3, "p": 0.004, "p_holm": 0.04}
    ends = {"from_": "epoch_1", "to": "last"}
    return {
        "quadrants": (row(QUADRANTS, **names, **ends, n=200, concordant=0.85, overconfident=0.11),),
        "direction": (row(DIRECTION, **names, n=400, confidence_not_increased=50.0, n_transitions=2),),
        "pairs": (row(PAIRS, **names, **step, n_correlated=100, stays=50, case1=18, both_flip=6, case2=6),),
        "case1_unchanged": (row(CASE1, **names, **step, n_case1=18, output_unchanged=None, quality_unchanged=9),),
        "similarity": (row(SIMILARITY, **names, **rho, epoch=3.0, n=200, status=status),),
    }


def section(text: str, name: str) -> str:
    return words(text.partition(f'<section id="{name}">')[2].partition("</section>")[0])


@pytest.mark.parametrize("table", ["quadrants", "direction", "pairs", "case1_unchanged", "similarity"])
def test_tables_without_rows_are_left_out(table: str) -> None:
    heads = ["Quadrants", "Direction of change", "Pairs of items", "Case 1 without", "Similarity to"]
    kept = {name: rows for name, rows in item_level_rows().items() if name == table}
    text = page(Analysis.of(**kept))
    found = [head for head in heads if f"<h3>{head}" in text]
    assert found == [heads[list(item_level_rows()).index(table)]]
    assert 'id="items"' not in page(Analysis.of())


def test_why_there_is_no_similarity() -> None:
    rows = {"similarity": item_level_rows(status="no train_similarity")["similarity"]}
    content = page(Analysis.of(**rows))
    assert "m on t: no train_similarity" in section(content, "items")
    assert "with similarity</th>" not in content


def test_length_removed_is_a_mean_over_seeds(make_change, make_correlation) -> None:
    rows = [
        make_correlation("a", 0, 0.5, spearman_given_length=0.45, length_unit="tokens"),
        make_correlation("a", 1, 0.4, seed=0, selected=True, spearman_given_length=0.1, length_unit="tokens"),
        make_correlation("a", 1, 0.6, seed=1, selected=True, spearman_given_length=0.3, length_unit="tokens"),
        make_correlation("b", 1, 0.7, selected=True),
    ]
    (found,) = summarise(Analysis.of(correlation=rows, change=both([make_change("a"), make_change("b")]))).lengths
    assert (found.score, found.rho, found.given_length, found.unit) == ("a", 0.5, pytest.approx(0.2), "tokens")


def test_long_and_empty_texts(make_change, make_moved) -> None:
    long = "x" * 600 + "y" * 11_400 + "z" * 1_500
    items = (make_moved("i7", "overconfident", 0.5, output_from="", output_to=long, input="q" * 601),)
    content = page(Analysis.of(change=both([make_change("s")]), moved_items=items))
    assert "x<details><summary>the rest</summary>yy" in content
    assert f"{'y' * 11_400} … 1,500 more characters</details>" in content
    assert "zz" not in content
    assert "<blockquote>(empty)</blockquote>" in content
    assert f"{'q' * 600}<details><summary>the rest</summary>q</details>" in content


def test_many_cards_are_folded(make_change, make_moved) -> None:
    changes = tuple(make_change("s", task=f"t{i}") for i in range(5))
    items = tuple(make_moved(f"i{i}", "overconfident", 0.5, task=f"t{i}") for i in range(5))
    text = section(page(Analysis.of(change=both(changes), moved_items=items)), "items")
    assert text.index("item i3") < text.index("1 more item") < text.index("item i4")


def test_no_sensitivity_section_without_anything_in_it(make_change, make_correlation) -> None:
    analysis = Analysis.of(correlation=(make_correlation("a", 1, 0.7),), change=both([make_change("a")]))
    assert 'id="sensitivity"' not in page(analysis)


def test_contents_are_the_sections_that_are_there(one_of_each) -> None:
    found = page(one_of_each)
    listed = re.findall(r'<li><a href="#([\w-]+)">(.*?)</a></li>', found.partition("<main>")[0])
    ids = re.findall(r'<section id="([\w-]+)">', found)
    assert [anchor for anchor, _ in listed] == [name for name in ids if name != "answer"]
    assert dict(listed)["verdicts"] == "Verdicts"
    assert "figures" not in ids  # none were drawn
    empty = page(Analysis.of())
    assert re.findall(r'href="#([\w-]+)"', empty) == ["reading", "scores", "made"]


def test_contents_hold_no_section_of_a_users() -> None:
    forged = '<section id="forged">\n<h2>Forged</h2>'
    found = render(
        summarise(Analysis.of(notes=(forged,))),
        title=forged,
        settings={forged: forged},
        signatures={},
    )
    assert re.findall(r'href="#([\w-]+)"', found) == ["notes", "reading", "scores", "made"]


def test_names_in_wide_tables_are_not_broken(one_of_each) -> None:
    """A table that scrolls need not break the names of scores, as texts may."""
    found = page(one_of_each)
    assert ".scroll code { white-space: nowrap; }" in found
    table = found.partition('<section id="scores">')[2].partition("</section>")[0]
    assert re.search(r'<div class="scroll"><table>.*<td><code>lost</code></td>', table, flags=re.DOTALL)
