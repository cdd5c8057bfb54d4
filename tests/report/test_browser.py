"""The page in a real browser: charts, choosing, searching, links, keyboard, both themes and widths, print.

Where no Chromium is there, these tests skip; with AFTERTUNE_NEEDS_BROWSER=1 they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, expect, sync_playwright

from aftertune.report import page_data
from aftertune.types import Records
from golden_samples import sample
from page_samples import audit, hostile, without, written
from record_samples import checkpoint, together

FAINT = Path(__file__).with_name("faint.js").read_text(encoding="utf-8")
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module: while it is open, nothing else in the process can run an event loop."""
    with sync_playwright() as playwright:
        found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        path = next(filter(None, found), playwright.chromium.executable_path)
        if not Path(path).exists():
            reason = "no Chromium: apt-get install chromium, or playwright install chromium"
            (pytest.fail if os.environ.get("AFTERTUNE_NEEDS_BROWSER") else pytest.skip)(reason)
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Name → the page of its records; `make` makes them where the name is new."""
    made: dict[str, Path] = {}

    def page(name: str, make: Callable[[], Records] | None = None, **options: object) -> Path:
        if name not in made:
            assert make is not None
            made[name] = written(tmp_path_factory.mktemp("pages") / name, make(), **options)
        return made[name]

    return page


@pytest.fixture(scope="module")
def audited(pages) -> Path:
    return pages("audit", audit)


@pytest.fixture(scope="module")
def studied(pages) -> Path:
    return pages("study", sample)


class Window:
    """A page of a browser in which one file after another is opened, and what it complained of meanwhile."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        context.set_default_timeout(20_000)
        context.route("**", self._asked)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._told)

    def _asked(self, route: Route) -> None:
        if not route.request.url.startswith(("file:", "data:", "about:")):
            self.complaints.append(f"request: {route.request.url}")
        route.continue_()

    def _told(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def window(browser: Browser) -> Window:
    return Window(browser.new_context())


@pytest.fixture
def opened(window: Window) -> Iterator[Callable[..., Page]]:
    """Opens a file and waits until it is drawn; during the test nothing may be complained of or asked for."""
    page = window.page
    window.complaints.clear()

    def open_file(path: Path, *, anchor: str = "", viewport: Any = WIDE, theme: Any = "light") -> Page:
        page.goto("about:blank")
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=theme, media="screen")
        page.goto(path.as_uri() + anchor)
        page.wait_for_selector("html[data-drawn=yes]")
        return page

    yield open_file
    assert window.complaints == []


def frame(records: Records, epoch: float, model: str, seed: int = 0, setting: str = "default") -> pd.DataFrame:
    """The test items of a checkpoint, in the order of the records."""
    rows = (records.split == "test") & (records.model == model) & (records.setting == setting)
    rows &= (records.seed == seed) & (records.epoch == epoch)
    columns = {"quality": records.quality, "correct": records.correct, "output": records.output, **records.scores}
    columns = {name: values[rows] for name, values in columns.items()}
    return pd.DataFrame(columns, index=pd.Index(records.item_id[rows], name="item"))


def listed(page: Page) -> list[str]:
    while page.locator(".list .more").count():
        page.locator(".list .more").click()
    return page.locator(".list [data-item]").evaluate_all("found => found.map(e => e.dataset.item)")


def choose(page: Page, name: str, value: str) -> None:
    """By its words or by its value."""
    page.locator(f"#{name}").select_option(label=value) if name == "of" else page.select_option(f"#{name}", value)


def chart(page: Page, name: str) -> str:
    """The chart that is seen, as markup."""
    return page.locator(f"[data-draw={name}]:visible").inner_html()


class TestCharts:
    def test_all_are_drawn(self, opened, studied):
        page = opened(studied)
        choose(page, "of", "tiny on qa")
        drawn = page.locator("[data-draw]:visible").evaluate_all(
            "found => found.map(e => [e.dataset.draw, e.querySelectorAll('svg, table').length, e.ariaLabel])"
        )
        assert {kind for kind, pictures, _ in drawn if not pictures} <= {"item"}
        assert {"epochs", "moves", "items", "review", "reliability"} < {kind for kind, *_ in drawn}
        assert not [kind for kind, _, label in drawn if kind not in ("item", "items") and not label]
        assert page.locator("[data-draw=reliability] svg").count() == 3
        assert page.locator("[data-draw=epochs]:visible svg").count() == 5

    def test_another_choice_draws_again(self, opened, studied):
        page = opened(studied)
        before = {}
        for name, value in (("of", "tiny on qa"), ("score", "dropout_kl"), ("run", "1")):
            choose(page, name, value)
            for kind in ("epochs", "moves", "review", "items"):
                now = chart(page, kind)
                if not (name == "run" and kind in ("epochs", "review")):  # means over runs
                    assert now != before.get(kind), (name, kind)
                before[kind] = now
        assert "score=dropout_kl" in page.url
        assert page.locator("[data-of]:visible .name").inner_text() == "tiny on qa"
        page.locator("[data-draw=epochs]:visible button", has_text="mean_token_logprob").click()
        expect(page.locator("#score")).to_have_value("mean_token_logprob")
        expect(page.locator("[data-draw=epochs]:visible .now button")).to_have_text("mean_token_logprob")

    def test_the_matrix_chooses(self, opened, studied):
        page = opened(studied)
        page.locator("table.matrix a", has_text="dropout_bleu_variance").first.click()
        expect(page.locator("#of option:checked")).to_have_text("tiny on qa")
        expect(page.locator(".first:visible .name")).to_have_text("tiny on qa")

    def test_each_dot_is_an_item_at_its_place(self, opened, audited):
        page = opened(audited)
        for axes in ("values", "ranks"):
            choose(page, "axes", axes)
            self.check_dots(page, axes)

    @staticmethod
    def check_dots(page: Page, axes: str) -> None:
        score = page.locator("#score").input_value()
        before, after = (frame(audit(), epoch, "llama")[["quality", score]] for epoch in (0, 1))
        if axes == "ranks":
            before, after = before.rank(), after.rank()
        wanted = after - before
        dots = page.locator("[data-draw=moves] svg g[aria-label=dot] circle").evaluate_all(
            "found => found.map(e => [+e.getAttribute('cx'), +e.getAttribute('cy'), e.getAttribute('fill')])"
        )
        assert len(dots) == len(after)
        inside = wanted[score].abs() < wanted[score].abs().quantile(0.97)  # the rest are clamped
        places = pd.DataFrame(dots, index=after.index)[inside]
        assert places[0].corr(wanted.quality[inside]) > 0.99999
        assert places[1].corr(-wanted[score][inside]) > 0.99999
        sides = np.select(
            [(wanted[score] > 0) & (wanted.quality < 0), (wanted[score] < 0) & (wanted.quality > 0)], [1, 2], 0
        )
        assert pd.Series(sides[inside]).groupby(list(places[2])).nunique().tolist() == [1, 1, 1]


FILTERS = ["all", "over", "under", "worse", "better", "same", "broke", "mended", "wrong", "right", "sure-wrong"]


class TestItems:
    def test_filters(self, opened, studied):
        page = opened(studied)
        choose(page, "of", "tiny on qa")
        choose(page, "score", "mean_token_logprob")
        assert page.locator("#filter option").evaluate_all("all => all.map(o => o.value)") == list(FILTERS)
        for seed in (0, 1):
            choose(page, "run", f"{seed}")
            self.check_filters(page, seed)

    @staticmethod
    def check_filters(page: Page, seed: int) -> None:
        before, after = (frame(sample(), epoch, "tiny", seed) for epoch in (0, 2))
        dq = after.quality - before.quality
        was, rank = (
            one.mean_token_logprob.rank(method="average").sub(1) / (one.mean_token_logprob.count() - 1)
            for one in (before, after)
        )
        right, wrong = (after.correct == truth for truth in (True, False))
        wanted = {
            "all": dq == dq,
            "over": (dq < 0) & (rank > was),
            "under": (dq > 0) & (rank < was),
            "worse": dq < 0,
            "better": dq > 0,
            "same": dq == 0,
            "broke": wrong & (before.correct == True),  # noqa: E712
            "mended": right & (before.correct == False),  # noqa: E712
            "wrong": wrong,
            "right": right,
            "sure-wrong": wrong & (rank >= 0.8),
        }
        assert set(wanted) == set(FILTERS)
        for name, kept in wanted.items():
            choose(page, "filter", name)
            assert listed(page) == list(after.index[kept]), name
            assert f"{kept.sum()} of {len(after)} items" in page.locator("#found").inner_text()
        assert 0 < wanted["broke"].sum() < len(after)

    def test_sorts_in_both_directions(self, opened, audited):
        page = opened(audited)
        score = page.locator("#score").input_value()
        before, after = (frame(audit(), epoch, "llama") for epoch in (0, 1))
        after["order"] = range(len(after))
        after["dq"] = after.quality - before.quality
        after["rank"] = after[score].rank()
        after["dr"] = after["rank"] - before[score].rank()

        def check(name: str, ascending: bool) -> None:
            found = listed(page)
            if name != "dr":
                assert found == list(after.sort_values(name, ascending=ascending, kind="stable").index), name
            else:  # the page has ranks in thousandths
                assert (np.diff(after.dr[found]) * (1 if ascending else -1) >= -0.2).all()
                assert sorted(found) == sorted(after.index)

        for column, name in enumerate(["order", "quality", "dq", "rank", "dr"]):
            choose(page, "sort", f"-{name}")
            check(name, ascending=False)
            choose(page, "sort", name)
            check(name, ascending=True)
            choose(page, "sort", "-dq" if name == "dr" else "-dr")
            for direction in ("ascending", "descending"):
                page.locator(".list th button").nth(column).click()
                assert page.locator(".list th").nth(column).get_attribute("aria-sort") == direction
                expect(page.locator("#sort")).to_have_value(name if direction == "ascending" else f"-{name}")
                check(name, ascending=direction == "ascending")

    def test_search(self, opened, audited):
        page = opened(audited)
        page.locator("#search").fill("FISH")
        assert listed(page) == [f"qa-{i:03}" for i in range(0, 100, 4)]
        page.locator("#search").fill("fish another")
        assert listed(page) == []
        page.locator("#search").fill("answer 17 epoch")
        assert listed(page) == ["qa-017"]
        page.locator("#search").fill("qa-099")
        assert listed(page) == ["qa-099"]

    def test_open_by_click_keyboard_and_link(self, opened, audited):
        page = opened(audited)
        card = page.locator("#item .card")
        page.locator('[data-item="qa-002"]').click()
        assert "question 2 about birds?" in card.inner_text()
        assert "item=qa-002" in page.url
        row = page.locator('[data-item="qa-005"]')
        row.focus()
        page.keyboard.press("Enter")
        for text in ("qa-005", "question 5 about birds?", "reference 5", "another", "answer 5 of epoch 0"):
            assert text in card.inner_text()
        expect(card).to_be_focused()
        link = card.locator("a", has_text="link").get_attribute("href")
        opened(audited, anchor=link)
        assert "question 5 about birds?" in card.inner_text()
        box = page.locator("#items").bounding_box()
        assert box is not None
        assert box["y"] < WIDE["height"]
        page.reload()
        page.wait_for_selector("html[data-drawn=yes]")
        assert "question 5 about birds?" in card.inner_text()
        page.evaluate("location.hash = '#score=beam_sum&item=qa-099'")
        expect(card.locator("code").first).to_have_text("qa-099")
        expect(page.locator("#score")).to_have_value("beam_sum")

    def test_links_to_nothing(self, opened, studied):
        page = opened(studied, anchor="#score=no&of=99&run=-3&item=__proto__")
        for link in ("#item=no", "#score=no&of=1e9&run=x", "#item=__proto__", "#x", "#items", "#of=2"):
            page.evaluate("link => { location.hash = link; }", link)
            assert page.locator(".first:visible").count() == 1
            assert page.locator("#score").input_value()
        expect(page.locator(".first:visible .name")).to_have_text("tiny on qa")

    def test_an_item_shows_every_checkpoint_and_score(self, opened, studied):
        page = opened(studied)
        choose(page, "of", "tiny on qa")
        choose(page, "run", "1")
        page.locator('[data-item="test-02"]').click()
        text = page.locator("#item .card").inner_text()
        records = sample()
        for epoch in (0, 1, 2, 3):
            at = frame(records, epoch, "tiny", seed=1)
            below = (at.dropout_kl < at.dropout_kl["test-02"]).sum() / (len(at) - 1)
            assert f"quality {at.quality['test-02']:.2f}" in text
            rows = page.locator("#item .ranks tr", has_text="dropout_kl").locator("td").all_inner_texts()
            assert abs(float(rows[1 + int(epoch)]) - 100 * below) <= 0.55
        assert text.count("the same output") == 0
        assert page.locator("#item .ranks tbody tr").count() == 5

    def test_a_dot_opens_its_item(self, opened, audited):
        page = opened(audited)
        dot = page.locator("[data-draw=moves] svg g[aria-label=dot] circle").nth(7)
        dot.scroll_into_view_if_needed()
        dot.hover(force=True)
        dot.click(force=True)
        assert page.locator("#item .card code").first.inner_text() in page.url


class TestReview:
    def test_the_sentence_says_what_records_say(self, opened, audited):
        page = opened(audited)
        choose(page, "score", "dropout_kl")
        for k in (0, 20, 35, 90, 95):
            self.slide(page, k)
            self.check_sentence(page, k)
        drawn = chart(page, "review")
        page.locator("#share").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#share-said")).to_have_text("94 %")
        assert chart(page, "review") != drawn

    @staticmethod
    def check_sentence(page: Page, k: int) -> None:
        before, after = (frame(audit(), epoch, "llama") for epoch in (0, 1))
        kept = after.sort_values("dropout_kl").iloc[k:].quality.mean()
        best = after.sort_values("quality").iloc[k:].quality.mean()
        said = page.locator("#review-said").inner_text()
        assert f"least confident {k} % by dropout_kl" in said
        assert page.locator("#share-said").inner_text() == f"{k} %"
        found = re.search(r"mean quality of the rest is ([\d.]+) instead of ([\d.]+) \(([\d.]+)", said)
        assert found is not None, said
        assert [float(x) for x in found.groups()] == pytest.approx([kept, after.quality.mean(), best], abs=0.0051)
        threshold = before.dropout_kl.sort_values().iloc[k]
        sent = round(100 * (after.dropout_kl < threshold).mean())
        assert f"which sent {k} % before fine-tuning, sends {sent} % now" in said

    def test_right_and_wrong(self, opened, studied):
        page = opened(studied)
        choose(page, "of", "tiny on qa")
        choose(page, "score", "mean_token_logprob")
        found, right, everyone = [], [], []
        for seed in (0, 1):
            both = [frame(sample(), epoch, "tiny", seed) for epoch in (0, 2)]
            known = both[0].correct.notna() & both[1].correct.notna()
            after = both[1][known].sort_values("mean_token_logprob")
            truth = after.correct.astype(float)
            k = len(after) // 4  # of 76 exactly
            found.append((1 - truth.iloc[:k]).sum() / (1 - truth).sum())
            right.append(truth.iloc[k:].mean())
            everyone.append(truth.mean())
        self.slide(page, 25)
        said = page.locator("#review-said").inner_text()
        numbers = re.search(r"finds (\d+) % of the wrong.*of the rest (\d+) % are right instead of (\d+) %", said)
        assert numbers is not None, said
        wanted = [100 * np.mean(one) for one in (found, right, everyone)]
        assert [float(x) for x in numbers.groups()] == pytest.approx(wanted, abs=0.51)

    @staticmethod
    def slide(page: Page, k: int) -> None:
        page.locator("#share").evaluate(
            "(slider, k) => { slider.value = k; slider.dispatchEvent(new Event('input')); }", k
        )


NAMES = {
    "maps": ("__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"),
    "markup": (
        "</script><script>window.hit = 1</script>",
        "<img src=x onerror='window.hit = 1'>",
        "<!--<script>",
        "]]>\"'&lt;`",
        "javascript:window.hit=1",
        "{{7*7}}${7*7}",
    ),
    "letters": ("a\u202eb", "a\0b", "\x1b[31mred", "a\ud800b", "a b&c=d#e%20+f"),
}
TEXTS = (
    "<script>window.hit = 1</script>",
    "</script><script>window.hit = 1</script>",
    "<img src=x onerror=window.hit=1>",
    "{{7*7}} ${7*7}",
    "]]> --> <!--<script>",
    "\u202egnp.exe",
    "a\0b\x1b[2J\r\n\tc",
    "half \ud800 of one \udc00",
    "",
    "x" * 1_000_000,
    "javascript:window.hit=1",
    "\"'`&amp;&lt;",
)


def test_a_sample_is_called_one(opened, pages, monkeypatch):
    monkeypatch.setattr(page_data, "MOST_ITEMS", 30)
    page = opened(pages("sampled", audit))
    assert listed(page) == [f"qa-{i:03}" for i in range(0, 100, 4)]
    assert "This page holds an even sample of 25 of 100 items." in page.locator("#found").inner_text()
    assert page.locator("[data-draw=moves] svg g[aria-label=dot] circle").count() == 25


@pytest.mark.parametrize("kind", NAMES)
def test_what_means_harm_is_text(opened, pages, kind):
    names = NAMES[kind]
    path = pages(
        kind,
        lambda: hostile(names, TEXTS),
        title=names[0],
        settings={"before": names[0], "after": names[1], names[2]: TEXTS[0]},
        signatures={names[0]: TEXTS[1]},
    )
    assert path.stat().st_size < 1_500_000
    page = opened(path)
    assert page.title() == page.locator("h1").inner_text()
    shown = [re.sub("[\0\x1b\u202e\ud800]", lambda c: f"⟨U+{ord(c[0]):04X}⟩", name) for name in names]
    assert page.locator("#score option").evaluate_all("all => all.map(o => o.value).sort()") == sorted(shown)
    for name in shown if kind == "maps" else shown[:2]:
        choose(page, "score", name)
        assert page.locator("[data-draw=moves]:visible svg").count() == 1
        assert page.locator("[data-draw=review] svg").count() == 1
        expect(page.locator("[data-draw=epochs]:visible .now button")).to_have_text(name)
    card, links = page.locator("#item .card code").first, {}
    for name in shown:
        page.locator(".list [data-item]").nth(listed(page).index(name)).click()
        assert card.text_content() == name
        links[name] = page.url.partition("#")[2]
    for name, link in links.items():
        page.evaluate("link => { location.hash = link; }", link)
        expect(card).to_have_text(name)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("window.hit") is None
    assert page.locator("img, iframe, object, embed, base, link").count() == 0
    assert page.locator("script").count() == 4
    assert page.evaluate("document.body.textContent").count("\0") == 0
    texts = page.evaluate(
        """() => { const texts = new Set();
        for (const k of document.querySelectorAll(".list [data-item]").keys()) {
          document.querySelectorAll(".list [data-item]")[k].click();
          for (const quote of document.querySelectorAll("#item blockquote")) texts.add(quote.textContent);
        }
        return [...texts]; }"""
    )
    assert {*TEXTS[:5], *TEXTS[-2:], "⟨U+202E⟩gnp.exe", "half ⟨U+D800⟩ of one ⟨U+DC00⟩", "(empty)"} <= set(texts)
    assert any(text.endswith("996,000 more characters)") for text in texts)
    assert page.evaluate("window.hit") is None


def test_the_policy_lets_nothing_else_run(opened, audited, browser):
    """A script that somebody put into the page, and one into an attribute."""
    markup = audited.read_text(encoding="utf-8")
    added = audited.with_name("added.html")
    added.write_text(
        markup.replace("<footer>", "<script>window.hit = 1</script><img src=x: onerror='window.hit = 1'><footer>")
    )
    page = browser.new_page()
    page.goto(added.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    assert page.evaluate("window.hit") is None
    refused = page.evaluate(
        """async () => {
        const told = new Promise((resolve) => document.addEventListener("securitypolicyviolation", resolve));
        fetch("data:text/plain,x").catch(() => 0);
        return (await told).effectiveDirective; }"""
    )
    assert refused == "connect-src"
    page.close()


def odd(kind: str) -> Records:
    n = 40
    rng = np.random.default_rng(8)
    quality = rng.random(n)
    scores = {"beam_sum": quality + rng.normal(size=n), "mine": rng.normal(size=n)}
    first, second = (checkpoint(quality, scores, epoch=epoch, selected=epoch == 1) for epoch in (0, 1))
    if kind == "no outputs":
        return together(first, second)
    if kind == "one item":
        return together(first.take([0]), second.take([0]))
    if kind == "one checkpoint":
        return first
    if kind == "only after":
        return second
    if kind == "other items":
        return together(first.take(range(30)), second.take(range(10, 40)))
    if kind == "no quality":
        return together(without(first, quality=np.full(n, np.nan)), without(second, quality=np.full(n, np.nan)))
    if kind == "some quality":
        return together(without(first, quality=np.where(np.arange(n) % 3, quality, np.nan)), second)
    if kind in ("all right", "all wrong"):
        truth = np.full(n, float(kind == "all right"))
        return together(*(without(one, quality=truth, correct=bool(truth[0])) for one in (first, second)))
    if kind == "half epochs":
        middle = without(first, epoch=np.full(n, 0.5))
        return together(first, middle, without(second, selected=np.full(n, False)))
    if kind == "a score at one checkpoint":
        return together(first, replace(second, scores={"mine": scores["mine"]}))
    raise ValueError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *("no outputs", "one item", "one checkpoint", "other items", "half epochs"),
        *(
            pytest.param(kind, marks=pytest.mark.thorough)
            for kind in (
                "only after", "no quality", "some quality", "all right", "all wrong", "a score at one checkpoint"
            )
        ),
    ],
)  # fmt: skip
def test_odd_records_are_drawn(opened, pages, kind):
    page = opened(pages(kind, lambda: odd(kind)))
    text = page.locator("body").inner_text()
    assert not re.search(r"\b(NaN|nan|null|None|Infinity)\b|\[object", text)
    for holder in page.locator("[data-draw]:visible").all():
        words = holder.inner_text()
        assert words.strip() or holder.locator("svg").count(), holder.get_attribute("data-draw")
        assert "undefined" not in words
    assert page.locator(".list [data-item]").count() == (1 if kind == "one item" else 40)
    page.locator(".list [data-item]").last.click()
    assert page.locator("#item .card blockquote, #item .card .soft").count()


class TestLooks:
    @pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_the_first_screen_answers(self, opened, audited, viewport):
        page = opened(audited, viewport=viewport)
        for selector in (
            ".checks-line .pill", ".use h2", ".chips .pill", ".quality", ".next", "table.verdicts tbody tr"
        ):  # fmt: skip
            box = page.locator(f"{selector}:visible").first.bounding_box()
            assert box is not None, selector
            assert 0 <= box["x"] <= box["x"] + box["width"] <= viewport["width"], (selector, box)
            assert 0 <= box["y"] <= box["y"] + box["height"] <= viewport["height"], (selector, box)

    @pytest.mark.parametrize("name", ["audited", "studied"])
    def test_no_page_scrolls_sideways(self, opened, request, name):
        page = opened(request.getfixturevalue(name))
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.locator(".list [data-item]").first.click()
        for width in (700, 390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(300)  # until charts are drawn again
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width
            assert page.locator(".list").evaluate("list => list.scrollWidth - list.clientWidth") == 0, width

    @pytest.mark.parametrize("name", ["audited", "studied"])
    def test_all_text_stands_out(self, opened, request, name):
        page = opened(request.getfixturevalue(name))
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.locator(".list [data-item]").first.click()
        scores = page.locator("#score option").evaluate_all("all => all.map(o => o.value)")
        for theme, score in zip(("light", "dark") * 4, [scores[0], *scores] if name == "audited" else scores[:2]):
            page.emulate_media(color_scheme=theme)
            choose(page, "score", score)
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            level = np.mean([int(x) for x in re.findall(r"\d+", ground)[:3]])
            assert level > 240 if theme == "light" else level < 40
            assert page.evaluate(FAINT) == [], (theme, score)

    def test_print(self, opened, audited, tmp_path):
        page = opened(audited, theme="dark")
        path = tmp_path / "page.pdf"
        page.pdf(path=path, format="A4")
        assert path.read_bytes().startswith(b"%PDF")
        assert path.stat().st_size > 30_000
        page.emulate_media(media="print")
        assert page.locator(".use h2").is_visible()
        assert page.locator("select:visible, input:visible, .bar:visible").count() == 0
        assert page.locator(".list").evaluate("list => list.scrollHeight - list.clientHeight") == 0
        assert page.evaluate(FAINT) == []
        if (pdftotext := shutil.which("pdftotext")) is not None:
            text = subprocess.run([pdftotext, path, "-"], capture_output=True, check=True, encoding="utf-8").stdout
            assert page.locator(".use h2").inner_text() in text

    def test_nothing_is_hidden_without_a_script(self, browser, studied):
        window = Window(browser.new_context(viewport=WIDE, java_script_enabled=False))  # pyright: ignore[reportArgumentType]
        page = window.page
        page.goto(studied.as_uri())
        assert page.locator(".first:visible").count() == 7
        assert page.locator("table.verdicts:visible").count() >= 3
        assert page.locator("[data-draw]:visible, select:visible, input:visible, .bar label:visible").count() == 0
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        tables = page.locator("main > section table")
        assert tables.count() > 20
        assert tables.filter(visible=True).count() == tables.count()
        page.context.close()
        assert window.complaints == []

    def test_everything_has_a_name_and_is_reached_by_tab(self, opened, studied):
        page = opened(studied)
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("input, select, button, img, svg[role=img], a")]
            .filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()))
            .map(e => e.outerHTML.slice(0, 80))"""
        )
        assert unnamed == []
        wanted = {"of", "score", "search", "filter", "sort", "item", "share"}
        reached = set()
        for _ in range(200):
            page.keyboard.press("Tab")
            found = page.evaluate(
                """() => {
                const e = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(e);
                return [e.id || ("item" in e.dataset ? "item" : ""), outlineStyle, parseFloat(outlineWidth)]; }"""
            )
            assert found[1] != "none", found
            assert found[2] >= 1, found
            reached.add(found[0])
            if wanted <= reached:
                return
        assert wanted <= reached
