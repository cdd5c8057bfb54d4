"""LaTeX of the item level: the cells by hand, and the paper's own numbers."""

from __future__ import annotations

from math import nan

import pytest

import eight_items
from aftertune.analysis.schema import CASE1, DIRECTION, PAIRS, QUADRANTS, SIMILARITY, Row
from aftertune.report.latex_tables import tex as tex_of
from aftertune.report.paper.tables import printed as printed_table
from eight_items import MEAN_DIRECTION
from latex_samples import HOSTILE, captions, tabulars
from report_rows import row

CELLS = ("n_correlated", "stays", "case1", "both_flip", "case2", "n_tied")


def quadrant(score: str, **values: object) -> Row:
    base: dict[str, object] = {
        "task": "qa", "from_": "epoch_1", "to": "last", "n": 8, "concordant": 0.75, "overconfident": 0.125,
        "underconfident": 0.125, "tied": 0.25, "n_seeds": 3,
    }  # fmt: skip
    return row(QUADRANTS, **base | values, score=score)


def pair(score: str, t: int = 1, **values: object) -> Row:
    base = {"task": "qa", "from_epoch": float(t), "to_epoch": t + 1.0}
    cells = {name: eight_items.PAIRS[t, t + 1][name] for name in CELLS}
    return row(PAIRS, **base | cells | values, score=score)


def case1(score: str, n: int, output: int | None, quality: int, **values: object) -> Row:
    base = {"task": "qa", "from_epoch": 1.0, "to_epoch": 2.0}
    own = {"n_case1": n, "output_unchanged": output, "quality_unchanged": quality}
    return row(CASE1, **base | own | values, score=score)


def similarity(score: str, rho: float, p: float, holm: float, **values: object) -> Row:
    base = {"task": "qa", "epoch": 1.0, "n": 100}
    return row(SIMILARITY, **base | values, score=score, spearman=rho, p=p, p_holm=holm)


def test_quadrants() -> None:
    none = {"concordant": nan, "overconfident": nan, "underconfident": nan, "tied": nan, "n": 0}
    rows = [
        quadrant("mine"),
        quadrant("beam_sum", concordant=1.0, overconfident=0.0, underconfident=0.0, tied=0.0),
        quadrant("mine", task="math", **none),
        quadrant("beam_sum", model="n"),
    ]
    tex = tex_of("quadrants", rows)
    (table,) = tabulars(tex)
    assert table == [
        ["", "BS Sums", r"\texttt{mine}"],
        ["", *["Cncd.", "tied", "R. Over", "R. Under"] * 2],
        ["{}m, qa", "1.00", "0.00", "0.00", "0.00", "0.75", "0.25", "0.12", "0.12"],
        ["{}m, math", *["--$^{a}$"] * 8],
        ["{}n, qa", "0.75", "0.25", "0.12", "0.12", *["--$^{a}$"] * 4],
    ]
    (caption,) = captions(tex)
    assert "from epoch 1 to the last checkpoint; shares of test items, mean over 3 seeds." in caption
    assert caption.endswith("$^{a}$~no item has quality and this score at both checkpoints.")
    assert r"\label{tab:aftertune-quadrants-epoch-1-last}" in tex


def test_direction() -> None:
    names = ("confidence_not_increased", "increased_quality_not_improved", "both_increased")
    shares = {name: MEAN_DIRECTION[name] for name in names}
    tex = tex_of("direction", [row(DIRECTION, task="qa", setting="n=500", score="beam_sum", **shares)])
    assert tabulars(tex)[0][1:] == [["", "No", "Yes/No", "Yes/Yes"], ["{}m, qa", "56.2", "31.2", "12.5"]]
    assert r"in per cent, setting \texttt{n=500}; mean over transitions" in captions(tex)[0]


def test_pairs_are_averaged_over_whole_epochs_after_the_first() -> None:
    """(0.6 + 0.3) / 2 and so on; steps from before fine-tuning, inside an epoch and over a gap do not count."""
    others = {"stays": 0, "case1": 0, "both_flip": 0, "case2": 1000}
    ignored = [(0.0, 1.0), (1.0, 1.5), (1.5, 2.5), (3.0, 7.0)]
    rows = [pair("beam_sum", 1), pair("beam_sum", 2)]
    rows += [pair("beam_sum", from_epoch=a, to_epoch=b, **others) for a, b in ignored]
    tex = tex_of("pairs", rows)
    assert tabulars(tex)[0][1:] == [
        ["", "Stays", "Case 1", "Both", "Case 2"],
        ["{}m, qa", "0.45", "0.35", "0.13", "0.07"],
        ["Case 1 of miscorrelated", "{}", "0.840", "{}", "{}"],  # 0.35 / (0.35 + 1/15)
        ["Case 1 larger", "{}", "1 of 1", "{}", "{}"],
    ]
    assert tabulars(tex_of("pairs", rows[2:])) == []
    assert "% No table for setting default: no whole epoch" in tex_of("pairs", rows[2:])


@pytest.mark.parametrize(
    ("number", "score", "summary"),
    [(4, "mean_token_logprob", ("0.686", "9")), (10, "dropout_bleu_variance", ("0.526", "6"))],
)
def test_the_papers_own_tables_4_and_10(number: int, score: str, summary: tuple[str, str]) -> None:
    cells = ("stays", "case1", "both_flip", "case2")
    rows = [
        pair(score, model=row.model, task=row.task, **{name: round(100 * getattr(row, name)) for name in cells})
        for row in printed_table(number).itertuples()
    ]
    (table,) = tabulars(tex_of("pairs", rows))
    share, larger = table[-2], table[-1]
    assert (share[2], larger[2]) == (summary[0], f"{summary[1]} of 12")
    bart = next(line for line in table if line[0] == "{}BART, SQUAD")
    first = printed_table(number).iloc[1]
    for text, name in zip(bart[1:], cells):
        assert float(text) == pytest.approx(getattr(first, name), abs=0.0101)  # the printed ones sum to 0.99


def test_case_1_without_a_change() -> None:
    rows = [
        case1("beam_sum", 4, 1, 3),
        case1("beam_sum", 2, 1, 2, seed=1),  # (1/4 + 1/2) / 2
        case1("beam_sum", 0, 0, 0, from_epoch=2.0, to_epoch=3.0),
        case1("beam_sum", 3, 0, 0, from_epoch=2.0, to_epoch=3.0, seed=1),
        case1("beam_sum", 9, 9, 9, from_epoch=0.0, to_epoch=1.0),
        case1("beam_sum", 5, None, 5, task="math"),
        case1("mine", 1, 1, 0),
    ]
    tex = tex_of("case1_unchanged", rows)
    (table,) = tabulars(tex)
    assert table == [
        ["BS Sums", "qa", "math"],
        ["Epoch", "m", "m"],
        ["2", "0.375", "--$^{a}$"],
        ["3", "0.000$^{b}$", "--$^{c}$"],
        [r"\texttt{mine}", "qa", "math"],
        ["Epoch", "m", "m"],
        ["2", "1.000", "--$^{c}$"],
    ]
    (caption,) = captions(tex)
    assert caption.startswith("Share of case 1 pairs in which the worse item's output did not change")
    assert caption.endswith("$^{a}$~outputs not known; $^{b}$~over 1 of 2 seeds; $^{c}$~not measured.")
    tex = tex_of("case1_unchanged", [case1("beam_sum", 5, None, 4)])
    assert tabulars(tex)[0][2:] == [["2", "0.800"]]
    assert "the worse item's quality did not change" in captions(tex)[0]
    assert "outputs are not known" in captions(tex)[0]


def test_similarity() -> None:
    undefined = {"status": "quality is constant"}
    rows = [
        similarity("beam_sum", 0.2, 0.01, 0.2),
        similarity("beam_sum", 0.3, 0.001, 0.04, seed=1),  # both below 0.05; after Holm only one
        similarity("beam_sum", -0.4, 1e-5, 1e-3, epoch=2.0),
        similarity("beam_sum", nan, nan, nan, epoch=2.0, seed=1, **undefined),
        similarity("beam_sum", 0.1, 0.3, 1.0, task="math"),
        similarity("beam_sum", 0.1, 0.04, 1.0, task="math", seed=1),
        similarity("beam_sum", nan, nan, nan, task="math", epoch=2.0, **undefined),
        similarity("beam_sum", nan, nan, nan, model="decoder", n=0, status="no train_similarity"),
    ]
    tex = tex_of("similarity", rows)
    (table,) = tabulars(tex)
    assert table == [
        ["BS Sums", "qa", "math"],
        ["Epoch", "m", "m"],
        ["1", "0.250$^{*}$", "0.100"],
        ["2", r"−0.400$^{*\dagger}$$^{a}$", "--$^{b}$"],
    ]
    assert captions(tex)[0].endswith("$^{a}$~over 1 of 2 seeds; $^{b}$~quality is constant.")
    assert "% Setting default, decoder, qa: no train_similarity.\n" in tex
    alone = tex_of("similarity", rows[-1:])
    assert tabulars(alone) == []
    assert "no train_similarity" in alone


def test_names_are_printed_not_obeyed() -> None:
    where = {"model": f"[{HOSTILE}", "task": HOSTILE, "setting": HOSTILE}
    for tex in (
        tex_of("quadrants", [quadrant(HOSTILE, **where)]),
        tex_of("pairs", [pair(HOSTILE, **where)]),
        tex_of("case1_unchanged", [case1(HOSTILE, 1, 1, 1, **where)]),
        tex_of("similarity", [similarity(HOSTILE, 0.1, 0.1, 0.1, **where)]),
        tex_of(
            "similarity",
            [similarity(HOSTILE, nan, nan, nan, **where, n=0, status="no train_similarity\n\\input{x}")],
        ),
    ):
        tabulars(tex)
