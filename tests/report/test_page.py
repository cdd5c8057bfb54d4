"""The page: self-contained, escaped, and honest about what was measured."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.schema import CASE1, DIRECTION, EPOCH_FALL, PAIRS, QUADRANTS, SIMILARITY, Analysis
from aftertune.report.page import render, write_all
from aftertune.report.summary import summarise
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


def page(analysis: Analysis, records: Records | None = None, **more: object) -> str:
    given: dict[str, object] = {"title": "Title", "settings": {}, "signatures": {}}
    return render(summarise(analysis, records), **given | more)  # pyright: ignore[reportArgumentType]


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


def test_everything_hostile_is_text(one_of_each, make_moved, tmp_path: Path) -> None:
    def named(row):
        return row._replace(model=HOSTILE, task=HOSTILE, setting=HOSTILE, score=HOSTILE)

    changes = tuple(named(row) for row in one_of_each.rows("change")[2:3])
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
    records = table(4, {0: [1, 1, 0, 0], 1: [0, 1, 0, 0]}, {0: [0, 1, 2, 3], 1: [9, 1, 2, 3]})
    hostile = np.full(8, HOSTILE, dtype=object)
    columns = {name: getattr(records, name) for name in Records.__dataclass_fields__}
    columns |= {"model": hostile, "task": hostile, "setting": hostile}
    columns |= {"scores": {HOSTILE: records.scores["lost"]}}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a&b.csv").write_text("")
    path = write_all(
        tmp_path,
        summarise(analysis, Records(**columns)),
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
    assert f"{HOSTILE} 1 0" in "".join(reader.text)
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


def test_glossary(make_change) -> None:
    rows = (make_change("beam_sum"), make_change("beam_ratio[k=5]"), make_change("mine"))
    text = words(page(Analysis.of(change=rows)))
    assert "beam_sum BS Sums" in text
    assert "beam_ratio[k=5] BS Ratios" in text
    assert "mine came with the records; not one of aftertune’s" in text


def test_quality_by_hand(make_change) -> None:
    analysis = Analysis.of(change=(make_change("lost"),))
    records = table(
        4,
        {0: [0.5, 0.5, 0.0, np.nan], 1: [1, 0, 0, 0], 3: [1.0, 0.25, 0.0, 1.0]},
        dict.fromkeys((0, 1, 3), [0] * 4),
    )
    (change,) = summarise(analysis, records).quality
    assert (change.before, change.after) == pytest.approx((1 / 3, 1.25 / 3))
    assert (change.better, change.worse, change.same) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert (change.n_items, change.n_seeds) == (3, 1)
    text = words(page(analysis, records))
    assert "m on t 0.333 0.417 +0.083 33 % 33 % 33 % 3 1" in text
    validation = np.full(12, "validation", dtype=object)
    columns = {name: getattr(records, name) for name in Records.__dataclass_fields__}
    assert summarise(analysis, Records(**columns | {"split": validation})).quality == ()


def item_level_rows(*, status: str = "", **names: object) -> dict[str, tuple]:
    """One row of each table of the item level; similarity is undefined if there is a status."""
    base: dict = {"model": "m", "task": "t", "setting": "default", "score": "s"} | names
    step = {"seed": 0, "from_epoch": 1.0, "to_epoch": 2.0}
    nan = float("nan")
    rho = {"spearman": nan, "p": nan, "p_holm": nan} if status else {"spearman": 0.3, "p": 0.004, "p_holm": 0.04}
    return {
        "quadrants": (
            QUADRANTS.row(**base, from_="epoch_1", to="last", n=200, concordant=0.85, overconfident=0.11,
                        underconfident=0.04, tied=0.41, n_seeds=3),
        ),
        "direction": (
            DIRECTION.row(**base, n=400, confidence_not_increased=50.0, increased_quality_not_improved=30.25,
                         both_increased=19.75, n_transitions=2),
        ),
        "pairs": (
            PAIRS.row(**base, **step, n_correlated=100, stays=50, case1=18, both_flip=6, case2=6, n_tied=20),
        ),
        "case1_unchanged": (CASE1.row(**base, **step, n_case1=18, output_unchanged=None, quality_unchanged=9),),
        "similarity": (
            SIMILARITY.row(**base, seed=0, epoch=3.0, n=200, **rho, quality_spearman=0.5,
                          quality_given_similarity=0.45, status=status),
        ),
    }  # fmt: skip


def section(text: str, name: str) -> str:
    return words("<p>" + text.partition(f'<section id="{name}">')[2].partition("</section>")[0] + "</p>")


def test_how_the_correlation_breaks() -> None:
    text = section(page(Analysis.of(**item_level_rows())), "items")
    assert "m on t s epoch 1 → last 85.0 % 41.0 % 11.0 % 4.0 % 200 3" in text
    assert "m on t s 50.0 % 30.2 % 19.8 % 2" in text
    assert "m on t s 62.5 % 22.5 % 7.5 % 7.5 % 75.0 % 20.0 % 1" in text
    assert "m on t s – 50.0 % 1" in text
    assert "m on t s +0.300 0.004 1 of 1 +0.500 +0.450" in text
    assert "Items that moved" not in text


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


def test_cards_of_items_that_moved(make_change, make_moved) -> None:
    items = (
        make_moved("i7", "overconfident", 0.5, input="question?", references=("a", "b"), output_to=""),
        make_moved("i8", "underconfident", 0.4),
    )
    text = section(page(Analysis.of(change=(make_change("s"),), moved_items=items)), "items")
    assert "over-confident m on t, item i7, seed 0, by s" in text
    assert "Input question?" in text.replace("Inputquestion?", "Input question?")
    assert "References: a · b" in text
    assert "quality 1.000 (above 75 % of the items), confidence −1.25 (above 12 %)" in text
    assert "(empty)quality 0.500 (above 25 % of the items), confidence −0.00123 (above 88 %)" in text
    assert "under-confident m on t, item i8" in text


def test_long_texts_are_folded(make_change, make_moved) -> None:
    long = "x" * 600 + "y" * 11_400 + "z" * 1_500
    items = (make_moved("i7", "overconfident", 0.5, output_to=long, input="q" * 601),)
    content = page(Analysis.of(change=(make_change("s"),), moved_items=items))
    assert "x<details><summary>the rest</summary>yy" in content
    assert f"{'y' * 11_400} … 1,500 more characters</details>" in content
    assert "zz" not in content
    assert f"{'q' * 600}<details><summary>the rest</summary>q</details>" in content


def test_many_cards_are_folded(make_change, make_moved) -> None:
    changes = tuple(make_change("s", task=f"t{i}") for i in range(5))
    items = tuple(make_moved(f"i{i}", "overconfident", 0.5, task=f"t{i}") for i in range(5))
    text = section(page(Analysis.of(change=changes, moved_items=items)), "items")
    assert text.index("item i3") < text.index("1 more item") < text.index("item i4")


def test_sensitivity(make_change, make_correlation, make_sample_size) -> None:
    rows = [
        make_correlation("a", 0, 0.5, spearman_given_length=0.45, length_unit="tokens"),
        make_correlation("a", 1, 0.4, seed=0, selected=True, spearman_given_length=0.1, length_unit="tokens"),
        make_correlation("a", 1, 0.6, seed=1, selected=True, spearman_given_length=0.3, length_unit="tokens"),
        make_correlation("b", 1, 0.7, selected=True),
    ]
    falls = [
        EPOCH_FALL.row(model="m", task="t", setting="default", score=score, n_seeds=2, mean=mean, sd=0.01,
                     worst=-0.3, worst_from_epoch=3.0)
        for score, mean in (("a", -0.1), ("<b>", -0.2))
    ]  # fmt: skip
    analysis = Analysis.of(
        correlation=tuple(rows),
        change=(make_change("a"), make_change("b")),
        epoch_fall=tuple(falls),
        sample_size=(make_sample_size("<i>", "n=*,steps=<s>", 0.004),),
    )
    text = render(summarise(analysis), title="t", settings={}, signatures={})
    part = text.partition('<section id="sensitivity">')[2].partition("</section>")[0]
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", part)]
    assert cells[:14] == [
        "m on t", "&lt;b&gt;", "−0.200", "0.010", "−0.300", "3 and 4", "2",
        "m on t", "a", "−0.100", "0.010", "−0.300", "3 and 4", "2",
    ]  # fmt: skip
    assert cells[14:20] == ["m on t", "n=*,steps=&lt;s&gt;", "&lt;i&gt;", "3.000", "0.004", "0.040"]
    assert cells[20:] == ["m on t", "a", "0.500", "0.200", "tokens"]


def test_no_sensitivity_section_without_anything_in_it(make_change, make_correlation) -> None:
    analysis = Analysis.of(correlation=(make_correlation("a", 1, 0.7),), change=(make_change("a"),))
    assert 'id="sensitivity"' not in render(summarise(analysis), title="t", settings={}, signatures={})


def test_contents_are_the_sections_that_are_there(one_of_each) -> None:
    found = render(summarise(one_of_each), title="t", settings={}, signatures={})
    listed = re.findall(r'<li><a href="#([\w-]+)">(.*?)</a></li>', found.partition("<main>")[0])
    ids = re.findall(r'<section id="([\w-]+)">', found)
    assert [anchor for anchor, _ in listed] == [name for name in ids if name != "answer"]
    assert dict(listed)["verdicts"] == "Verdicts"
    assert "figures" not in ids  # none were drawn
    empty = render(summarise(Analysis.of()), title="t", settings={}, signatures={})
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
    found = render(summarise(one_of_each), title="t", settings={}, signatures={})
    assert ".scroll code { white-space: nowrap; }" in found
    table = found.partition('<section id="scores">')[2].partition("</section>")[0]
    assert re.search(r'<div class="scroll"><table>.*<td><code>lost</code></td>', table, flags=re.DOTALL)
