"""Where WordNet's files (wndb(5WN)) lie: on NLTK's data path, else Debian's package `wordnet-base`."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from importlib.resources.abc import Traversable
from pathlib import Path

DEBIAN = Path("/usr/share/wordnet")


def find() -> Traversable | None:
    """The folder of WordNet's files, which may be inside an NLTK download's zip file; None if there is none."""
    folders = [Path(folder) / "corpora" for folder in _nltk_data_path()]
    for folder in folders:
        if (folder / "wordnet" / "data.adj").is_file():
            return folder / "wordnet"
    for folder in folders:
        if zipfile.is_zipfile(folder / "wordnet.zip"):
            return zipfile.Path(folder / "wordnet.zip", "wordnet/")
    return DEBIAN if (DEBIAN / "data.adj").is_file() else None


def version(folder: Traversable) -> str:
    """WordNet's version, from the licence that its files begin with; "unknown" if it does not say."""
    with folder.joinpath("data.adj").open("rb") as file:
        found = re.search(rb"Word[nN]et (\d+\.\d+|\d+\+?) Copyright", file.read(10_000))
    return found[1].decode() if found else "unknown"


def _nltk_data_path() -> list[str]:
    """NLTK's data path: as it stands if NLTK is loaded (which takes a second), else as NLTK makes it."""
    if "nltk.data" in sys.modules:
        return list(map(str, sys.modules["nltk.data"].path))
    chosen = [os.path.expanduser(folder) for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    usual = [
        os.path.expanduser("~/nltk_data"),
        *(
            os.path.join(sys.prefix, *part)
            for part in (["nltk_data"], ["share", "nltk_data"], ["lib", "nltk_data"])
        ),
    ]
    if sys.platform.startswith("win"):
        roots = [os.environ.get("APPDATA", "C:\\"), "C:\\", "D:\\", "E:\\"]
        return [*chosen, *usual, *(os.path.join(root, "nltk_data") for root in roots)]
    return [*chosen, *usual, *(f"/usr/{part}/nltk_data" for part in ("share", "local/share", "lib", "local/lib"))]
