"""Answers of a judge on disk, one file for each, so that a question is paid for once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text
from aftertune.signature import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCache:
    """(settings of the judge, prompt) → what the judge wrote.

    Files lie in ``<folder>/<first two digits>/<digest>.json``, each written whole or not at all; several threads
    and processes may use one folder. A file that cannot be read counts as absent and is written anew. The
    package's version is no part of the digest: what was paid for stays valid.

    Attributes
    ----------
    folder : None keeps answers in memory only.
    settings : what decides an answer (provider, model, address, temperature, …); never a key.
    """

    folder: Path | None
    settings: str
    _memory: dict[str, str] = field(default_factory=dict, repr=False)

    def get(self, prompt: str) -> str | None:
        """What the judge wrote, or None."""
        key = self._key(prompt)
        if key not in self._memory and self.folder is not None:
            raw = _read(self._path(self.folder, key))
            if raw is not None:
                self._memory[key] = raw
        return self._memory.get(key)

    def put(self, prompt: str, raw: str) -> None:
        """Keep what the judge wrote; `InputError` where the folder cannot be written to."""
        key = self._key(prompt)
        self._memory[key] = raw
        if self.folder is None:
            return
        entry = {"judge": self.settings, "prompt": prompt, "raw": raw}
        try:
            atomic_write_text(self._path(self.folder, key), json.dumps(entry, ensure_ascii=True) + "\n")
        except OSError as error:
            raise InputError(
                f"the judge's answers cannot be kept here: {error.strerror}", file=self.folder
            ) from None

    def _key(self, prompt: str) -> str:
        return digest([self.settings, prompt], 32)

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key}.json"


def _read(path: Path) -> str | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    raw = entry.get("raw") if isinstance(entry, dict) else None
    return raw if isinstance(raw, str) else None
