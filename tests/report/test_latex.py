"""LaTeX tables: structure that LaTeX needs, and content by hand. No LaTeX is run."""

from __future__ import annotations

from math import inf, nan

import pytest

from aftertune.analysis.schema import EPOCH_FALL, SAMPLE_SIZE, Row
from aftertune.report.latex import Cell, Grid, column_blocks, escape, floats
from aftertune.report.latex_tables import PAPER_SCORES
from aftertune.report.latex_tables import tex as tex_of
from aftertune.report.paper.tables import printed as printed_table
from aftertune.scores import get
from latex_samples import HOSTILE, body, captions, tabulars
from report_rows import both, row


@pytest.fixture
def two_models(make_change):
    """Scores in another order than the paper's; a pair in two scopes and both effects; two seeds."""
    nothing = {"verdict": "undefined", "status": "quality is constant before fine-tuning"}
    base = {"n_seeds": 2, "sd": 0.0126, "ci_scope": "training", "effect": "spearman"}
    weights = "beam_importance_weighted"
    return [
        make_change("mine_too", model="m1", task="qa", mean=0.5, **base),
        make_change("cocoa_msp", model="m1", task="qa", mean=-0.2504, p_anova_holm=0.049, **base),
        make_change(
            "cocoa_msp",
            model="m1",
            task="qa",
            mean=-0.2504,
            p_change=0.001,
            **base | {"ci_scope": "models"},
        ),
        make_change("cocoa_msp", model="m1", task="qa", mean=-0.9, **base | {"effect": "adjusted"}),
        make_change("cocoa_msp", model="m1", task="qa", mean=-0.2504, **base | {"ci_scope": "new_run"}),
        make_change(weights, model="m1", task="qa", mean=-0.0004, p_change=0.04, **base),
        make_change("cocoa_msp", model="m1", task="math", mean=nan, **nothing, **base | {"sd": nan}),
        make_change(weights, model="m2", task="qa", mean=0.1, p_anova_holm=0.01, p_change=0.01, **base),
    ]


def test_change_by_hand(two_models) -> None:
    tex = tex_of("change", two_models)
    (table,) = tabulars(tex)
    assert table[:2] == [["", "m1", "m2"], ["", "qa", "math", "qa"]]
    assert list(body(table)) == ["BS Imp Wt", "CoCoA MSP", r"\texttt{mine\_too}"]
    assert body(table) == {
        "BS Imp Wt": [r"0.000 (0.013)$^{\dagger}$", "--$^{a}$", r"0.100 (0.013)$^{*\dagger}$"],
        "CoCoA MSP": ["−0.250 (0.013)$^{*}$", "--$^{b}$", "--$^{a}$"],
        r"\texttt{mine\_too}": ["0.500 (0.013)", "--$^{a}$", "--$^{a}$"],
    }
    assert captions(tex) == [
        "Change of the Spearman correlation with quality from before fine-tuning to the selected checkpoint; mean "
        "over 2 seeds with the standard deviation in brackets. $^{*}$ one-way ANOVA over seeds, $p < 0.05$; "
        r"$^{\dagger}$ t test over test items, for the mean over training runs, $p < 0.05$, corrected for all "
        "scores of a model and task (max-t). Higher is more confident for every score; the paper gives BS Imp Wt "
        "with the opposite sign. $^{a}$~not measured; $^{b}$~quality is constant before fine-tuning."
    ]
    assert r"\label{tab:aftertune-change-before-selected}" in tex
    assert "% BS Imp Wt: beam_importance_weighted\n% CoCoA MSP: cocoa_msp\n% not in the paper: mine_too\n" in tex


def test_a_table_for_each_pair_and_setting(make_change) -> None:
    rows = [
        make_change("cocoa_msp", setting=setting, from_=from_, mean=mean, effect="spearman")
        for setting, from_, mean in (
            ("default", "before", 0.1),
            ("default", "epoch_1", 0.2),
            ("n=500,steps=2500", "before", 0.3),
        )
    ]
    tex = tex_of("change", rows)
    assert [body(table)["CoCoA MSP"] for table in tabulars(tex)] == [["0.100"], ["0.200"], ["0.300"]]  # one seed
    first, second, third = captions(tex)
    assert "from before fine-tuning to the selected checkpoint; one seed." in first
    assert "from epoch 1 to the selected checkpoint; one seed." in second
    assert r"setting \texttt{n=500,steps=2500}; one seed." in third
    assert "ANOVA" not in first
    assert "for these trained models" in first
    assert r"\label{tab:aftertune-change-before-selected-n-500-steps-2500}" in tex


def test_correlation_by_hand(make_correlation) -> None:
    """Seed 0: epochs 0, 1, 2, selected 1; seed 1: epochs 0, 1, 2, selected 2; one correlation undefined."""
    values = {0: (0.1, 0.2, 0.3), 1: (0.1, nan, 0.5)}
    rows = [
        make_correlation(
            "beam_sum",
            epoch,
            rho,
            seed=seed,
            selected=epoch == 1 + seed,
            status="quality is constant: no correlation" if rho != rho else "",
        )
        for seed, rhos in values.items()
        for epoch, rho in enumerate(rhos)
    ]
    tex = tex_of("correlation", rows)
    before, first, selected, last = (body(table)["BS Sums"] for table in tabulars(tex))
    assert before == ["0.100 (0.000)"]
    assert first == ["0.200$^{a}$"]
    assert selected == ["0.350 (0.212)"]  # 0.2 and 0.5
    assert last == ["0.400 (0.141)"]
    assert [caption.split(";")[0].rpartition("quality, ")[2] for caption in captions(tex)] == [
        "before fine-tuning",
        "after epoch 1",
        "at the selected checkpoint",
        "at the last checkpoint",
    ]
    assert captions(tex)[1].endswith("$^{a}$~over 1 of 2 seeds, in the others quality is constant.")


def test_the_last_checkpoint_is_not_shown_twice(make_correlation) -> None:
    rows = [make_correlation("beam_sum", e, 0.1 * e, selected=e == 2) for e in (0, 1, 2)]
    assert [body(table)["BS Sums"] for table in tabulars(tex_of("correlation", rows))] == [
        ["0.000"],
        ["0.100"],
        ["0.200"],
    ]
    nowhere = [make_correlation("beam_sum", e, nan, status="quality is constant") for e in (0, 1)]
    tex = tex_of("correlation", nowhere)
    assert [body(t)["BS Sums"] for t in tabulars(tex)] == [["--$^{a}$"]] * 3
    assert all(caption.endswith("$^{a}$~quality is constant.") for caption in captions(tex))


def test_epoch_fall_by_hand() -> None:
    rows = [
        row(EPOCH_FALL, task="qa", score="beam_ratio", n_seeds=3, mean=-0.2345, sd=0.1),
        row(EPOCH_FALL, task="math", score="beam_ratio", n_seeds=3),
    ]
    tex = tex_of("epoch_fall", rows)
    (table,) = tabulars(tex)
    assert body(table) == {"BS Ratios": ["−0.234 (0.100)", "--$^{a}$"]}
    assert captions(tex)[0].endswith(
        "$^{a}$~no two successive epochs at which every training run has a correlation."
    )


def test_sample_size_by_hand() -> None:
    def size(task: str, f: float, p: float, settings: str = "n=100; n=500; n=1000") -> Row:
        names = {"task": task, "score": "beam_ratio", "setting": "n=*"}
        return row(SAMPLE_SIZE, **names, settings=settings, f=f, p_anova_holm=p)

    rows = [
        size("a", 3.456, 0.05),
        size("b", 345.6, 0.0004),
        size("c", nan, nan, ""),
        size("d", inf, 0.0),
        size("e", 9.0, 0.0123, "n=500; n=1000"),
    ]
    tex = tex_of("sample_size", rows)
    (table,) = tabulars(tex)
    assert body(table) == {
        "BS Ratios": [
            "3.46 (0.050)",
            "346 (<0.001)$^{*}$",
            "--$^{a}$",
            r"$\infty$ (<0.001)$^{*}$",
            "9.00 (0.012)$^{*}$$^{b}$",
        ]
    }
    (caption,) = captions(tex)
    assert caption.startswith(
        "Spearman correlation with quality by number of training items (n=100; n=500; n=1000)"
    )
    assert caption.endswith("$^{b}$~n=500; n=1000 only.")


def test_the_paper_s_own_table(make_change) -> None:
    """Four models × three tasks × twelve scores: two blocks of six columns, as the paper prints Table 1."""
    ours = {get(score).paper_name: score for score in PAPER_SCORES}
    cells = list(printed_table(1).itertuples())
    rows = [
        make_change(
            ours[c.score],
            model=c.model,
            task=c.task,
            mean=c.mean,
            sd=c.sd,
            n_seeds=3,
            p_anova_holm=1.0,
            effect="spearman",
        )
        for c in reversed(cells)
    ]
    (table,) = tabulars(tex_of("change", rows))
    assert table[0] == ["", "Gemma-2", "Llama-3.1"]
    assert table[14] == ["", "Flan-T5", "BART"]
    names = list(dict.fromkeys(c.score for c in cells))
    assert [row[0] for row in table] == ["", "", *names, "", "", *names]
    printed = {
        (model, task, row[0]): text
        for block in (table[:14], table[14:])
        for row in block[2:]
        for model, task, text in zip((m for m in block[0][1:] for _ in range(3)), block[1][1:], row[1:])
    }
    assert len(printed) == 144
    for c in cells:
        sign = "−" if c.mean < 0 else ""
        assert printed[c.model, c.task, c.score] == f"{sign}{abs(c.mean):.3f} ({c.sd:.3f})"


def test_names_are_printed_not_obeyed(make_change) -> None:
    row = make_change(
        HOSTILE, model=HOSTILE, task=HOSTILE, setting=HOSTILE, mean=nan, verdict="undefined", status=f"{HOSTILE}"
    )
    ((models, tasks, scores),) = tabulars(tex_of("change", both([row])))
    printed = r"a\_b \& 50\% \{x\} \#1 \$y\textasciicircum{}2 \textasciitilde{} \textbackslash{}z "
    printed += r"\textless{}\textbar{}\textgreater{} [0] *"
    assert (models, tasks) == (["", printed], ["", printed])
    assert scores == [rf"\texttt{{{printed}}}", "--$^{a}$"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two\nlines\t", "two lines"),
        ("a---b ''c'' ?`", "a-{}-{}-b '{}'c'{}' ?{\\char96}"),
        ("Café naïve", "Café naïve"),
        ("Łódź są", "Łódź sa"),
        ("ρ → −1 × “2”", r"$\rho$ $\rightarrow$ $-$1 $\times$ ``2''"),
        ("模型 \u200b\x1b", "U+6A21U+578B U+200BU+001B"),
    ],
)
def test_letters(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_blocks_keep_a_model_together() -> None:
    def blocks(**tasks: int) -> list[str]:
        columns = [(model, f"t{i}") for model, n in tasks.items() for i in range(n)]
        return ["".join(model for model, _ in block) for block in column_blocks(columns)]

    assert blocks(a=3, b=3, c=3, d=3) == ["aaabbb", "cccddd"]
    assert blocks(a=4, b=3, c=1) == ["aaaa", "bbbc"]
    assert blocks(a=8, b=4) == ["aaaaaa", "aabbbb"]


def test_a_table_longer_than_a_page_goes_on() -> None:
    columns = [(f"m{i}", f"t{j}") for i in range(5) for j in range(6)]
    keys = [f"s{i}" for i in range(20)]
    grid = Grid(
        columns=columns,
        rows=[(key, key) for key in keys],
        cells={(key, *column): Cell(text=f"{key}{column[0]}") for key in keys for column in columns},
    )
    tex = floats(label="tab:x", title="Title", caption="; more", grids=[grid])
    found = tabulars(tex)
    assert [len(part) for part in found] == [44, 44, 22]
    assert [row[1] for part in found for row in part if row[0] == "s19"] == [f"s19m{i}" for i in range(5)]
    assert captions(tex) == ["Title; more", "(continued) Title; more", "(continued) Title; more"]
    assert tex.count(r"\label") == 1


def test_grids_stand_below_each_other_until_the_page_is_full() -> None:
    def grid(name: str, n: int) -> Grid:
        return Grid(
            columns=[("a", "x"), ("b", "x")],
            rows=[(str(i), str(i)) for i in range(n)],
            cells={(str(i), group, "x"): Cell(text=f"{name}{i}") for i in range(n) for group in "ab"},
            corner=(name, "Epoch"),
            heads={"b": r"\texttt{b}"},
        )

    grids = [grid(name, 20) for name in "pqr"]
    first, second = tabulars(floats(label="tab:x", title="T", caption="", grids=grids))
    assert first[:3] == [["p", "a", r"\texttt{b}"], ["Epoch", "x", "x"], ["0", "p0", "p0"]]
    assert first[22:25] == [["q", "a", r"\texttt{b}"], ["Epoch", "x", "x"], ["0", "q0", "q0"]]
    assert second[0] == ["r", "a", r"\texttt{b}"]
    assert (len(first), len(second)) == (44, 22)
