"""Names of settings: "default", or `key=value` parts with commas between them ("n=500,steps=2500").

A *family* is a set of settings that differ in the number of training items alone.
"""

from __future__ import annotations

DEFAULT = "default"


def parse(setting: str) -> dict[str, str]:
    """The `key=value` parts of a setting; parts of another form are left out.

    >>> parse("n=500,steps=2500"), parse("default")
    ({'n': '500', 'steps': '2500'}, {})
    """
    pairs = (part.partition("=") for part in setting.split(","))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def sample_size(setting: str) -> int | None:
    """The number of training items that the setting names, None where it names none.

    >>> sample_size("n=500,steps=2500"), sample_size("default"), sample_size("n=all")
    (500, None, None)
    """
    value = parse(setting).get("n", "")
    return int(value) if value.isdecimal() else None


def family(setting: str) -> str | None:
    """The setting with its number of training items replaced by "*"; None where it names none.

    >>> family("n=500"), family("n=500,steps=2500"), family("default")
    ('n=*', 'n=*,steps=2500', None)
    """
    if sample_size(setting) is None:
        return None
    parts = (part.strip() for part in setting.split(","))
    return ",".join("n=*" if part.partition("=")[0].strip() == "n" else part for part in parts)
