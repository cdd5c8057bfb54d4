"""Named things that anyone can add: one file in our room, or one entry point in a plug-in package."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import warnings
from collections.abc import Iterator
from typing import Generic, TypeVar

from aftertune.errors import first_line, unknown

T = TypeVar("T")


class PlugInWarning(UserWarning):
    """A plug-in package is left out."""


class Registry(Generic[T]):
    """Name → entry.

    Built-in entries register themselves when the files of `room` (a package) are imported; those of other
    packages when their entry point in the group ``aftertune.<plural>`` is loaded. Both happen on first use. A
    plug-in that does not load is left out, with a warning that names its package.

    Parameters
    ----------
    noun, plural
        What an entry is called in messages, and the last part of the entry point group.
    room
        Package whose modules are imported to find the built-in entries.
    """

    def __init__(self, noun: str, plural: str, room: str) -> None:
        self.noun, self.group, self.room = noun, f"aftertune.{plural}", room
        self._entries: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, entry: T) -> T:
        """Register `entry`. A name taken already is a programming error: names are a contract."""
        if name in self._entries and self._entries[name] is not entry:
            raise ValueError(f"{self.noun} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> T:
        """The entry called `name`; `InputError` with the nearest names otherwise."""
        self._load()
        if name not in self._entries:
            raise unknown(self.noun, name, self._entries)
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, in the order in which they were registered."""
        self._load()
        return list(self._entries)

    def items(self) -> Iterator[tuple[str, T]]:
        """(name, entry) of all, in that order."""
        self._load()
        return iter(list(self._entries.items()))

    def __contains__(self, name: str) -> bool:
        self._load()
        return name in self._entries

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        room = importlib.import_module(self.room)
        for module in pkgutil.iter_modules(room.__path__):
            importlib.import_module(f"{self.room}.{module.name}")
        for point in importlib.metadata.entry_points(group=self.group):
            before = dict(self._entries)
            try:
                point.load()
            except Exception as error:  # noqa: BLE001 - of a package that others wrote
                self._entries = before
                package = point.dist.name if point.dist is not None else point.value
                warnings.warn(
                    f"the plug-in {package} is left out: its {self.noun} {point.name!r} ({point.value}) does not "
                    f"load: {type(error).__name__}: {first_line(error)}",
                    PlugInWarning,
                    stacklevel=2,
                )
