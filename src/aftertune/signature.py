"""Signatures: the string that travels with a number and says how it was made.

Modelled on sacreBLEU: ``cocoa_msp|similarity:chrF2|version:0.1.0``.
"""

from __future__ import annotations

import hashlib
import json

from aftertune._version import __version__


def signature(name: str, **settings: object) -> str:
    """``name|key:value|…|version:X``, keys in the order given; settings that are None are left out.

    >>> signature("beam_ratio", k=10).rsplit("|", 1)[0]
    'beam_ratio|k:10'
    """
    parts = [f"{key}:{value}" for key, value in settings.items() if value is not None]
    return "|".join([name, *parts, f"version:{__version__}"])


def digest(value: object, length: int = 16) -> str:
    """Hex digest of any JSON-able value; the order of keys in mappings does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
