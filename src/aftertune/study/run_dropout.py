"""One dropout for all checkpoints of a run: what `auto` stands for is found once, before fine-tuning, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aftertune.files.atomic import atomic_write_text
from aftertune.files.runfolder import RunFolder
from aftertune.generate.collect import CollectOptions
from aftertune.generate.dropout_strength import N_PROMPTS, ResolvedDropout, resolve_dropout
from aftertune.generate.prompts import encode
from aftertune.models.loaded import LoadedModel
from aftertune.signature import digest
from aftertune.types import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDropout:
    """What `auto` stands for in a run folder, and where that is kept."""

    resolved: ResolvedDropout
    file: Path
    is_new: bool

    def keep(self) -> None:
        if self.is_new:
            atomic_write_text(self.file, json.dumps(self.resolved.as_dict(), indent=1) + "\n")


def run_dropout(
    folder: RunFolder,
    identity: Sequence[str],
    options: CollectOptions,
    test: Sequence[Example],
    load: Callable[[], LoadedModel] | None,
    *,
    anew: bool = False,
) -> RunDropout | None:
    """As it is kept in the folder, else found on the model before fine-tuning; None where nothing is "auto".

    Nothing is written before `RunDropout.keep`.

    Parameters
    ----------
    identity : of the model before, and of the test items as it reads them.
    test : the first of them are read.
    load : gives the model before; called only if nothing is kept. None where it must not be loaded: then what is
        not kept is None.
    anew : whether to find it even if it is kept.
    """
    if options.dropout.kind != "auto" or not options.dropout_samples:
        return None
    file = folder.dropout(digest([*identity, options.max_new_tokens], 12))
    if file.exists() and not anew:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return RunDropout(resolved=ResolvedDropout.from_dict(kept), file=file, is_new=False)
    if load is None:
        return None
    loaded = load()
    some = test[: 2 * N_PROMPTS]  # in case some do not fit
    asked, ids = [item.asked for item in some], [item.id for item in some]
    encoded = encode(loaded, asked, options.prompts, options.max_new_tokens, ids)
    found = resolve_dropout(loaded, encoded.ids, options.dropout, max_new_tokens=options.max_new_tokens)
    return RunDropout(resolved=found, file=file, is_new=True)
