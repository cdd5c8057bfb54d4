"""Translation from English into Afrikaans: NLLB for training, FLORES for testing."""

from __future__ import annotations

import gzip
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from aftertune.tasks import Origin, Split, Task, register
from aftertune.tasks.rows import Row, hub_rows, local_rows, unreachable
from aftertune.types import Example

NLLB = "allenai/nllb"
NLLB_PAIR = "afr_Latn-eng_Latn"
NLLB_FILE = f"https://storage.googleapis.com/allennlp-data-bucket/nllb/{NLLB_PAIR}.gz"
NLLB_LINES = 100_000
FLORES = "openlanguagedata/flores_plus"
ENGLISH, AFRIKAANS = "eng_Latn", "afr_Latn"
PROMPT = "Translate English to Afrikaans.\nEnglish: {source}\nAfrikaans:"


def _pool(split: Split, origin: Origin) -> tuple[Example, ...] | None:
    """Items of local files, which have a validation set of their own, or of the hub, where train is cut."""
    if origin.data_dir is not None:
        rows = local_rows(origin.data_dir, "eng_afr", split)
    elif split == "validation":
        return None
    else:
        rows = _flores(origin) if split == "test" else _nllb(origin)
    return tuple(
        Example(
            id=f"eng_afr-{split}-{row.index:05d}",
            prompt=PROMPT.format(source=row.filled("source")),
            references=(row.filled("target"),),
        )
        for row in rows
    )


def _nllb(origin: Origin) -> Iterator[Row]:
    """The first `NLLB_LINES` pairs, which are those with the highest LASER scores; empty ones are skipped.

    ``allenai/nllb`` is a loading script, which `datasets` does not run since version 4, and has no Parquet
    conversion: the file that the script reads is read here, as far as needed. A dataset given in its place
    is loaded as usual; it has the script's fields (translation: {eng_Latn, afr_Latn}).
    """
    if NLLB in origin.hub:
        for row in hub_rows(origin, NLLB, "train"):
            pair = replace(row, cells=row.cell("translation"))
            yield _pair(row, pair.filled(ENGLISH), pair.filled(AFRIKAANS))
        return
    try:
        with (
            urllib.request.urlopen(NLLB_FILE, timeout=60) as response,
            gzip.open(response, "rt", encoding="utf-8", newline="\n") as lines,
        ):
            for index, line in enumerate(islice(lines, NLLB_LINES)):
                afrikaans, english, *_ = [*line.split("\t"), ""]  # in the order of NLLB_PAIR
                if afrikaans.strip() and english.strip():
                    yield _pair(Row(cells={}, index=index, file=NLLB), english, afrikaans)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise unreachable(f"{NLLB} ({NLLB_FILE})", error) from error


def _flores(origin: Origin) -> Iterator[Row]:
    """The rows of FLORES+ devtest, which has a configuration for each language, joined on the id."""
    afrikaans = {row.filled("id"): row for row in hub_rows(origin, FLORES, "devtest", config=AFRIKAANS)}
    for row in hub_rows(origin, FLORES, "devtest", config=ENGLISH):
        identifier = row.filled("id")
        if identifier not in afrikaans:
            row.refuse(f"no Afrikaans sentence has the id {identifier!r}")
        yield _pair(row, row.filled("text"), afrikaans[identifier].filled("text"))


def _pair(row: Row, source: str, target: str) -> Row:
    return replace(row, cells={"source": source, "target": target})


register(
    Task(
        name="eng_afr",
        title="Translation English to Afrikaans",
        quality="chrf_plus",
        max_new_tokens=128,
        train=10_000,
        validation=100,
        test=253,
        of_paper=True,
        licence="NLLB: ODC-By; FLORES+: CC BY-SA 4.0",
        source="NLLB Team 2022; Goyal et al. 2022",
        prompt=PROMPT,
        datasets=(NLLB, FLORES),
        pool=_pool,
    )
)
