"""The small files of a checkpoint, and the headers of its weights, read strictly. Nothing heavy is imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from aftertune.errors import InputError

LONGEST_HEADER = 100_000_000
"""Bytes; safetensors reads no longer ones."""

Tensors = Mapping[str, Mapping[str, Any]]
"""Name → dtype, shape and data_offsets, as a header has them."""


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises
    ------
    InputError
        It cannot be read, or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"does not load: {error.strerror}", file=file) from None
    except json.JSONDecodeError as error:
        raise InputError(f"does not load: not JSON ({error.msg})", file=file, line=error.lineno) from None
    except UnicodeDecodeError:
        raise InputError("does not load: not UTF-8 text", file=file) from None
    except (ValueError, RecursionError):
        raise InputError("does not load: numbers too long or nested too deeply", file=file) from None
    if not isinstance(content, dict):
        raise InputError("does not load: a JSON object is wanted", file=file)
    return content


def read_header(file: Path) -> tuple[int, Tensors]:
    """Where the data of a safetensors file begin, and its tensors.

    Raises
    ------
    InputError
        It is no safetensors file, or a damaged one.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(40)
            if start.startswith(b"version https://git-lfs"):
                raise InputError(f"{file} is a Git LFS pointer, not the weights: run `git lfs pull` there")
            size, whole = int.from_bytes(start[:8], "little"), file.stat().st_size
            stream.seek(8)
            header = json.loads(stream.read(size)) if size <= min(LONGEST_HEADER, whole - 8) else None
        if header is None:
            raise ValueError("it is cut short, or no safetensors file")
        header.pop("__metadata__", None)
        at = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, at_end = entry["data_offsets"]
            if begin != at or at_end < begin or any(n < 0 for n in entry["shape"]):
                raise ValueError(f"the place of {name} in it is wrong")
            at = at_end
        if 8 + size + at != whole:
            raise ValueError(f"it has {whole:,} bytes, and its header says {8 + size + at:,}")
    except OSError as error:
        raise InputError(f"does not load: {error.strerror}", file=file) from None
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        why = str(error) if type(error) is ValueError else "its header is no JSON of tensors"
        raise InputError(f"does not load: {why}: copy or save the weights again", file=file) from None
    return 8 + size, header


def numbers_in(tensors: Tensors) -> int:
    """How many numbers some tensors hold."""
    return sum(prod(entry["shape"]) for entry in tensors.values())
