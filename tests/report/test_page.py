"""The page: self-contained, escaped, and honest about what was measured."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import tomllib
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.schema import CASE1, DIRECTION, PAIRS, QUADRANTS, SIMILARITY, Analysis
from aftertune.report import page_data
from aftertune.report.page import render, write_page
from aftertune.report.summary import summarise
from page_samples import audit, without, written
from record_samples import checkpoint, together
from report_rows import both, row
from report_text import read, visible

ROOT = Path(__file__).parents[2]
VENDORED = ROOT / "src/aftertune/report/vendored"
SCRIPTS = 4  # the data, two libraries and the page's own
HOSTILE = '<script>alert("x")</script>&amp;\'"'


def own(page: str) -> str:
    """Without scripts."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


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
    path = write_page(
        tmp_path,
        summarise(analysis, records),
        records,
        title=HOSTILE,
        settings={HOSTILE: HOSTILE},
        signatures={HOSTILE: HOSTILE},
    )
    content = path.read_text(encoding="utf-8")
    reader = read(content)
    assert reader.tags.count("script") == SCRIPTS
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", own(content))
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "".join(reader.text).count(HOSTILE) >= 20
    assert f"{HOSTILE}⟨U+001B⟩⟨U+0000⟩ 1 0" in "".join(reader.text)
    assert ("href", "tables/a%26b.csv") in reader.attributes
    assert HOSTILE not in content


def test_nothing_is_fetched(one_of_each, tmp_path: Path) -> None:
    path = write_page(tmp_path, summarise(one_of_each), title="T", settings={}, signatures={})
    content = path.read_text(encoding="utf-8")
    reader = read(content)
    assert not {"link", "iframe", "object", "base", "img"} & set(reader.tags)
    targets = [value or "" for name, value in reader.attributes if name in ("src", "href", "srcset", "action")]
    assert {t[:1] for t in targets} == {"#"}
    (style,) = re.findall(r"<style>(.*?)</style>", content, re.DOTALL)
    assert not re.search(r"url\(|@import", style)
    assert not [name for name, _ in reader.attributes if name == "style"]


def test_the_policy_names_what_runs_and_nothing_else(one_of_each) -> None:
    content = page(one_of_each)
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', content)
    rules = dict(rule.split(" ", 1) for rule in unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"

    def hashes(texts: list[str]) -> set[str]:
        sums = (hashlib.sha256(text.encode()).digest() for text in texts)
        return {f"'sha256-{base64.b64encode(one).decode()}'" for one in sums}

    assert set(rules["script-src"].split()) == hashes(re.findall(r"<script>(.*?)</script>", content, re.DOTALL))
    assert set(rules["style-src"].split()) > hashes(re.findall(r"<style>(.*?)</style>", content, re.DOTALL))
    assert len(rules["style-src"].split()) == 2  # and Plot's
    assert "unsafe" not in policy
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}


@pytest.mark.parametrize("name", ["d3.min.js", "plot.umd.min.js"])
def test_libraries_are_what_their_packages_ship(name: str) -> None:
    readme = (VENDORED / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"`{re.escape(name)}` \| .*? \| ISC \| ([0-9a-f]{{64}}) ", readme)
    assert found is not None
    content = (VENDORED / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == found[1]
    assert b"</script" not in content
    assert b"<!--" not in content


def test_the_wheel_holds_what_the_page_is_made_of() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    names = {file.distribution_path for file in builder.recurse_included_files()}
    assert tables["targets"]["wheel"]["packages"] == ["src/aftertune"]
    files = [*(VENDORED.parent / "templates").rglob("*.*"), *VENDORED.iterdir()]
    assert len(files) > 15
    assert {file.relative_to(ROOT / "src").as_posix() for file in files} <= names


def test_the_same_page_twice(one_of_each, tmp_path: Path) -> None:
    made = [
        write_page(tmp_path / name, summarise(one_of_each), title="T", settings={}, signatures={}).read_bytes()
        for name in ("a", "b")
    ]
    assert made[0] == made[1]


def packed_in(path: Path) -> dict:
    (data,) = re.findall(r'id="data">([^<]*)<', path.read_text(encoding="utf-8"))
    return json.loads(gzip.decompress(base64.b64decode(data)))


def test_texts_are_cut_before_items_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = without(audit(), output=np.array([f"{k} " + "ä" * 5000 for k in range(200)], dtype=object))
    for most, letters, items in ((1_000_000, 2000, 100), (80_000, 120, 100), (40_000, 120, 50)):
        monkeypatch.setattr(page_data, "MOST_BYTES", most)
        data = packed_in(written(tmp_path / f"{most}", long))
        assert len(data["settings"][0]["ids"]) == items
        outputs = [text for text in data["texts"] if "ä" in text]
        assert len(outputs) == 2 * items
        assert {len(text.partition(" … (")[0]) for text in outputs} == {letters}
        assert all(text.endswith("more characters)") for text in outputs)


@pytest.mark.thorough
def test_how_large_a_page_is(tmp_path: Path) -> None:
    """1,000 items, 30 scores, 11 checkpoints, 3 training runs; texts of 60 to 120 characters, all different."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("etaoinshrdlu"), rng.integers(2, 9))) for _ in range(3000)]

    def texts() -> list[str]:
        return [" ".join(words[k % 3000] for k in rng.zipf(1.3, 24))[: rng.integers(60, 121)] for _ in range(1000)]

    truth, asked, wanted = rng.normal(size=1000), texts(), [(text,) for text in texts()]
    parts = [
        checkpoint(
            truth + rng.normal(size=1000),
            {f"score {k}": truth + rng.normal(size=1000) for k in range(30)},
            seed=seed,
            epoch=epoch,
            selected=epoch == 9,
            output=texts(),
            references=wanted,
            extra={"input": asked},
        )
        for seed in range(3)
        for epoch in range(11)
    ]
    path = written(tmp_path / "large", together(*parts))
    assert len(packed_in(path)["settings"][0]["ids"]) == 1000
    assert 3_000_000 < path.stat().st_size < 6_000_000
    (data,) = re.findall(r'id="data">([^<]*)<', path.read_text(encoding="utf-8"))
    assert path.stat().st_size - len(data) < 1_000_000


def test_only_tables_that_exist_are_linked(one_of_each, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for name in ("change.csv", "change.md", "change.tex", "alerts.jsonl", "moved_items.jsonl", "mine.txt"):
        (tmp_path / "tables" / name).write_text("")
    path = write_page(tmp_path, summarise(one_of_each), title="T", settings={}, signatures={})
    links = re.findall(r'href="(tables/[^"]+)"', path.read_text(encoding="utf-8"))
    assert links == ["tables/alerts.jsonl", "tables/change.csv", "tables/moved_items.jsonl"]


def test_one_checkpoint(make_correlation) -> None:
    text = words(page(Analysis.of(correlation=(make_correlation("s", 0, 0.5),))))
    assert "there are no two checkpoints of one model and task to compare" in text


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


def section_markup(text: str, name: str) -> str:
    return text.partition(f'<section id="{name}">')[2].partition("</section>")[0]


def section(text: str, name: str) -> str:
    return words(section_markup(text, name))


HEADS = {
    "quadrants": "Quadrants",
    "direction": "Direction of change",
    "pairs": "Pairs and causes",
    "similarity": "Similarity to",
}


@pytest.mark.parametrize("table", HEADS)
def test_tables_without_rows_are_left_out(table: str, make_change) -> None:
    text = page(Analysis.of(change=both([make_change("s")]), **{table: item_level_rows()[table]}))
    assert [name for name, head in HEADS.items() if re.search(rf"<h[234]>{head}", text)] == [table]


def test_why_there_is_no_similarity() -> None:
    rows = {"similarity": item_level_rows(status="no train_similarity")["similarity"]}
    content = page(Analysis.of(**rows))
    assert "m on t: no train_similarity" in section(content, "similarity")
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
    assert '<blockquote dir="auto">(empty)</blockquote>' in content
    assert f"{'q' * 600}<details><summary>the rest</summary>q</details>" in content


def test_many_cards_are_folded(make_change, make_moved) -> None:
    changes = tuple(make_change("s", task=f"t{i}") for i in range(5))
    items = tuple(make_moved(f"i{i}", "overconfident", 0.5, task=f"t{i}") for i in range(5))
    text = section(page(Analysis.of(change=both(changes), moved_items=items)), "items")
    assert text.index("item i3") < text.index("1 more item") < text.index("item i4")


def test_contents_are_the_sections_that_are_there(one_of_each) -> None:
    found = page(one_of_each)
    listed = re.findall(r'<a href="#([\w-]+)">(.*?)</a>', found.partition("<nav")[2].partition("</nav>")[0])
    assert [anchor for anchor, _ in listed] == re.findall(r'<section id="([\w-]+)">', found)
    assert dict(listed)["verdicts"] == "Verdicts"
    assert "sizes" not in dict(listed)
    assert {"methods"} < set(dict(listed))


def test_contents_hold_no_section_of_a_users() -> None:
    forged = '<section id="forged">\n<h2>Forged</h2>'
    found = render(
        summarise(Analysis.of(notes=(forged,))),
        title=forged,
        settings={forged: forged},
        signatures={},
    )
    assert "forged" not in re.findall(r'href="#([\w-]+)"', found)
    assert "forged" not in re.findall(r'<section id="([\w-]+)"', found)


def test_undefined_is_a_dash_and_says_why(one_of_each) -> None:
    content = page(one_of_each)
    row = re.search(r"<tr><td><code>absent</code>.*?</tr>", section_markup(content, "verdicts"), re.DOTALL)
    assert row is not None
    cells = words(row[0])
    assert "–" in cells
    assert "undefined" in cells
    assert "confidence is constant before fine-tuning" in cells
    assert not re.search(r"\bnan\b", words(content))
