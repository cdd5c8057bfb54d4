"""The page: self-contained, escaped, and honest about what was measured."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from aftertune.report.outcome import groups
from aftertune.report.overconfident import overconfident_items
from aftertune.report.page import render, write_all, write_report
from aftertune.report.quality import quality_changes
from aftertune.rows import Analysis, EpochFallRow
from aftertune.types import Records

HOSTILE = '<script>alert("x")</script>&amp;\'"'


class Reader(HTMLParser):
    """Tags, attributes and text; void tags aside, every tag must be closed in order."""

    VOID = frozenset({"meta", "img", "line", "circle", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("td", "th", "dt", "dd"):
            self.text.append(" ")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader._open == []
    return reader


def words(page: str) -> str:
    return " ".join("".join(read(page).text).split())


def page(analysis: Analysis, **more: object) -> str:
    given: dict[str, object] = {"title": "Title", "settings": {}, "signatures": {}}
    return render(analysis, **given | more)  # pyright: ignore[reportArgumentType]


def table(n: int, quality: dict[int, list[float]], score: dict[int, list[float]], **changes: object) -> Records:
    """n items at the epochs of `quality`, seed 0; the last epoch is selected."""
    epochs = list(quality)
    m = n * len(epochs)

    def texts(values: list[object]) -> np.ndarray:
        return np.fromiter(values, dtype=object, count=m)

    columns: dict[str, object] = {
        "model": texts(["m"] * m),
        "task": texts(["t"] * m),
        "setting": texts(["default"] * m),
        "seed": np.zeros(m, dtype=np.int64),
        "epoch": np.repeat(np.array(epochs, dtype=float), n),
        "selected": np.repeat(np.array(epochs) == epochs[-1], n),
        "split": texts(["test"] * m),
        "item_id": texts([f"i{k}" for _ in epochs for k in range(n)]),
        "output": texts([f"{HOSTILE} {e} {k}" for e in epochs for k in range(n)]),
        "references": texts([(HOSTILE,)] * m),
        "quality": np.concatenate([quality[e] for e in epochs]),
        "correct": texts([None] * m),
        "train_similarity": np.full(m, np.nan),
        "scores": {"lost": np.concatenate([score[e] for e in epochs])},
    }
    return Records(**columns | changes)  # pyright: ignore[reportArgumentType]


def test_numbers_and_verdicts(one_of_each) -> None:
    text = words(page(one_of_each, settings={"margin": "0.05"}, signatures={"lost": "lost|version:0"}))
    assert "2 of 7 scores can be trusted after fine-tuning: holding, rising (improved)." in text
    assert "lost 0.400 −0.100 −0.500 [−0.600, −0.400] ▼ degraded not shown 100" in text
    assert "vague (1,200)" in text
    assert "m on t confidence is constant 0 absent 1" in text
    assert "first note" in text
    assert "margin 0.05" in text
    assert "lost lost|version:0" in text


def test_one_seed_makes_no_claim_about_training(one_of_each) -> None:
    text = words(page(one_of_each))
    assert "One training run was measured: whether another run would end the same way was not." in text
    assert "allow for another training run" not in text


def test_everything_hostile_is_text(one_of_each, tmp_path: Path) -> None:
    def named(row):
        return replace(row, model=HOSTILE, task=HOSTILE, setting=HOSTILE, score=HOSTILE)

    changes = tuple(named(row) for row in one_of_each.changes[2:3])
    rows = [named(row) for row in one_of_each.correlations[4:6]]
    rows += [replace(rows[0], epoch=2.0, spearman=float("nan"), status=HOSTILE)]
    analysis = Analysis(correlations=tuple(rows), changes=changes, notes=(HOSTILE,))
    records = table(4, {0: [1, 1, 0, 0], 1: [0, 1, 0, 0]}, {0: [0, 1, 2, 3], 1: [9, 1, 2, 3]})
    hostile = np.full(8, HOSTILE, dtype=object)
    columns = {name: getattr(records, name) for name in Records.__dataclass_fields__}
    columns |= {"model": hostile, "task": hostile, "setting": hostile}
    columns |= {"scores": {HOSTILE: records.scores["lost"]}}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a&b.csv").write_text("")
    path = write_all(
        tmp_path,
        analysis,
        Records(**columns),
        title=HOSTILE,
        settings={HOSTILE: HOSTILE},
        signatures={HOSTILE: HOSTILE},
    )
    content = path.read_text(encoding="utf-8")
    reader = read(content)
    assert "script" not in reader.tags
    assert "<script" not in content.lower()
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "".join(reader.text).count(HOSTILE) >= 20
    assert f"{HOSTILE} 1 0" in "".join(reader.text)
    assert ("href", "tables/a%26b.csv") in reader.attributes


def test_nothing_is_fetched(one_of_each, tmp_path: Path) -> None:
    path = write_all(tmp_path, one_of_each, None, title="T", settings={}, signatures={})
    reader = read(path.read_text(encoding="utf-8"))
    assert not {"link", "script", "iframe", "object", "base"} & set(reader.tags)
    targets = [value or "" for name, value in reader.attributes if name in ("src", "href", "srcset", "action")]
    assert [t[:26] for t in targets] == ["data:image/svg+xml;base64,"]
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
        write_all(tmp_path / name, one_of_each, None, title="T", settings={}, signatures={}).read_bytes()
        for name in ("a", "b")
    ]
    assert made[0] == made[1]


def test_only_tables_that_exist_are_linked(one_of_each, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for name in ("change.csv", "change.md", "correlation.csv"):
        (tmp_path / "tables" / name).write_text("")
    path = write_report(tmp_path, one_of_each, title="T", settings={}, signatures={})
    links = re.findall(r'href="([^"]+)"', path.read_text(encoding="utf-8"))
    assert links == ["tables/change.csv", "tables/correlation.csv"]


def test_one_checkpoint(make_correlation) -> None:
    text = words(page(Analysis(correlations=(make_correlation("s", 0, 0.5),), changes=())))
    assert "there are no two checkpoints of one model and task to compare" in text
    assert "s 0 0.500 [+0.400, +0.600]" in text


def test_glossary(make_change) -> None:
    rows = (make_change("beam_sum"), make_change("beam_ratio[k=5]"), make_change("mine"))
    text = words(page(Analysis(correlations=(), changes=rows)))
    assert "beam_sum BS Sums" in text
    assert "beam_ratio[k=5] BS Ratios" in text
    assert "mine came with the records; not one of aftertune’s" in text


def test_quality_by_hand(make_change) -> None:
    group = groups(Analysis(correlations=(), changes=(make_change("lost"),)))
    records = table(
        4,
        {0: [0.5, 0.5, 0.0, np.nan], 1: [1, 0, 0, 0], 3: [1.0, 0.25, 0.0, 1.0]},
        dict.fromkeys((0, 1, 3), [0] * 4),
    )
    (change,) = quality_changes(records, group)
    assert (change.before, change.after) == pytest.approx((1 / 3, 1.25 / 3))
    assert (change.better, change.worse, change.same) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert (change.n_items, change.n_seeds) == (3, 1)
    text = words(page(Analysis(correlations=(), changes=(make_change("lost"),)), quality=[change]))
    assert "m on t 0.333 0.417 +0.083 33 % 33 % 33 % 3 1" in text
    validation = np.full(12, "validation", dtype=object)
    columns = {name: getattr(records, name) for name in Records.__dataclass_fields__}
    assert quality_changes(Records(**columns | {"split": validation}), group) == ()


def test_the_clearest_example_is_chosen(make_change) -> None:
    group = groups(Analysis(correlations=(), changes=(make_change("lost", verdict="degraded", mean=-0.1),)))
    quality = {0: [1.0, 0.8, 0.6, 0.4, 0.2], 1: [0.0, 0.1, 0.6, 0.7, 0.2]}
    score = {0: [3.0, 1.0, 2.0, 4.0, 5.0], 1: [4.0, 9.0, 3.0, 5.0, 6.0]}
    (item,) = overconfident_items(table(5, quality, score), group)
    # i0 fell from best to worst but rose by 0 ranks of 4 only; i1 fell by two and rose by four
    assert item.item_id == "i1"
    assert (item.quality_before, item.quality_after) == (0.8, 0.1)
    assert (item.rank_before, item.rank_after) == (0.0, 1.0)
    assert item.output_after == f"{HOSTILE} 1 1"
    assert overconfident_items(table(5, quality, {0: score[1], 1: score[0]}), group) == ()


def test_no_example_without_outputs(make_change) -> None:
    group = groups(Analysis(correlations=(), changes=(make_change("lost", verdict="degraded", mean=-0.1),)))
    records = table(
        3, {0: [1, 0, 0], 1: [0, 1, 1]}, {0: [0, 1, 2], 1: [5, 1, 2]}, output=np.full(6, None, dtype=object)
    )
    assert overconfident_items(records, group) == ()


def test_long_outputs_are_shortened(make_change) -> None:
    group = groups(Analysis(correlations=(), changes=(make_change("lost", verdict="degraded", mean=-0.1),)))
    output = np.full(6, "y" * 5000, dtype=object)
    records = table(3, {0: [1, 0, 0], 1: [0, 1, 1]}, {0: [0, 1, 2], 1: [5, 1, 2]}, output=output)
    examples = overconfident_items(records, group)
    content = page(Analysis(correlations=(), changes=(make_change("lost"),)), examples=examples)
    assert "y" * 600 + "…" in html.unescape(content)
    assert "y" * 601 not in content


def test_sensitivity(make_change, make_correlation, make_sample_size) -> None:
    rows = [
        make_correlation("a", 0, 0.5, spearman_given_length=0.45, length_unit="tokens"),
        make_correlation("a", 1, 0.4, seed=0, selected=True, spearman_given_length=0.1, length_unit="tokens"),
        make_correlation("a", 1, 0.6, seed=1, selected=True, spearman_given_length=0.3, length_unit="tokens"),
        make_correlation("b", 1, 0.7, selected=True),
    ]
    falls = [
        EpochFallRow(model="m", task="t", setting="default", score=score, n_seeds=2, mean=mean, sd=0.01,
                     worst=-0.3, worst_from_epoch=3.0)
        for score, mean in (("a", -0.1), ("<b>", -0.2))
    ]  # fmt: skip
    analysis = Analysis(
        correlations=tuple(rows),
        changes=(make_change("a"), make_change("b")),
        epoch_falls=tuple(falls),
        sample_sizes=(make_sample_size("<i>", "n=*,steps=<s>", 0.004),),
    )
    text = render(analysis, title="t", settings={}, signatures={})
    part = text.partition('<section id="sensitivity">')[2].partition("</section>")[0]
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", part)]
    assert cells[:14] == [
        "m on t", "&lt;b&gt;", "−0.200", "0.010", "−0.300", "3 and 4", "2",
        "m on t", "a", "−0.100", "0.010", "−0.300", "3 and 4", "2",
    ]  # fmt: skip
    assert cells[14:20] == ["m on t", "n=*,steps=&lt;s&gt;", "&lt;i&gt;", "3.000", "0.004", "0.040"]
    assert cells[20:] == ["m on t", "a", "0.500", "0.200", "tokens"]


def test_no_sensitivity_section_without_anything_in_it(make_change, make_correlation) -> None:
    analysis = Analysis(correlations=(make_correlation("a", 1, 0.7),), changes=(make_change("a"),))
    assert 'id="sensitivity"' not in render(analysis, title="t", settings={}, signatures={})
