"""YAML 1.2 files, and the line where each of their values stands."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from aftertune.errors import InputError, shortened
from aftertune.files.reading import check_file

MOST_VALUES = 10_000
"""Values in a file, those that aliases repeat counted each time: more is a mistake or an attack."""
MOST_BYTES = 100_000
LONGEST_NUMBER = 1_000  # characters
DEEPEST = 20
"""Mappings and lists around a value."""

_TAG = "tag:yaml.org,2002:"
_WORDS = [f"{_TAG}{kind}" for kind in ("str", "timestamp", "value", "merge")]
"""Tags of what may be a key."""


class _Constructor(SafeConstructor):
    """Reads as text what YAML 1.2 does, and ruamel.yaml does not: 2025-01-01, 1_000, =."""

    def scalar(self, node: ScalarNode) -> int | float | bool | str:
        text, kind = str(self.construct_scalar(node)), node.tag.removeprefix(_TAG)
        if kind in ("timestamp", "value") or "_" in text:
            return text
        try:
            if len(text) > LONGEST_NUMBER:
                raise ValueError
            return getattr(self, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError):  # of a tag such as !!int
            raise ConstructorError(None, None, f"{shortened(text, 60)!r} is no {kind}", node.start_mark) from None


for _kind in ("int", "float", "bool", "timestamp", "value"):
    _Constructor.add_constructor(f"{_TAG}{_kind}", _Constructor.scalar)


def read_yaml(
    path: Path, *, what: str = "a study", begins: str = "name, models, tasks, …"
) -> tuple[dict[str, Any], Node]:
    """The mapping that a file holds, and its node tree for `line_of`.

    Parameters
    ----------
    what, begins : what the file should be, and what stands in it, for messages.

    Raises
    ------
    InputError
        With file and line: what `check_file` refuses, more than `MOST_BYTES` bytes, not YAML, not a mapping, a key
        that stands twice or is no word, a value that holds itself, control characters, more than `MOST_VALUES`
        values or `DEEPEST` levels.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    check_file(path, text=True)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError(f"has {size:,} bytes: {what} has at most {MOST_BYTES:,}", file=path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text)
        if not isinstance(node, MappingNode):
            raise InputError(f"{what} is a mapping: write {begins}", file=path)
        _check(path, node, (), 0)
        content = yaml.constructor.construct_document(node)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML: {error.problem}", file=path, line=line) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"not YAML: {error.reason} (#x{error.character:04x})", file=path, line=line) from None
    except RecursionError:
        raise InputError("not YAML that can be read: nested too deeply", file=path) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    return content, node


def _is_plain(text: str) -> bool:
    """Without control characters other than ends of lines and tabs, and without halves of surrogate pairs."""
    return text.isprintable() or all(unicodedata.category(c) not in ("Cc", "Cs") or c in "\n\r\t" for c in text)


def line_of(node: Node, where: Sequence[str | int]) -> int:
    """Line of the deepest node on the path that exists; of the key itself where it is one."""
    line = node.start_mark.line
    for part in where:
        if isinstance(node, MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1


def _check(path: Path, node: Node, above: tuple[int, ...], n: int) -> int:
    """n and the number of values in this node; refuses what `read_yaml` says."""

    def refuse(message: str, at: Node) -> InputError:
        return InputError(message, file=path, line=at.start_mark.line + 1)

    if id(node) in above:
        raise refuse("a value holds itself (an alias inside its anchor)", node)
    if len(above) > DEEPEST:
        raise refuse("nested too deeply", node)
    if isinstance(node, ScalarNode) and not _is_plain(node.value):
        raise refuse(f"{node.value!r:.60} holds a control character", node)
    if n > MOST_VALUES:
        raise InputError(f"more than {MOST_VALUES:,} values: write fewer aliases", file=path)
    children: list[Node] = node.value if isinstance(node, SequenceNode) else []
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise refuse("a key is one word, not a list or a mapping", key)
            if key.tag not in _WORDS:
                raise refuse(f"the key {key.value} is not a word: quote it", key)
            if key.value in seen:
                raise refuse(f"key {key.value} stands twice", key)
            seen.add(key.value)
        children = [value for _, value in node.value]
    for child in children:
        n = _check(path, child, (*above, id(node)), n + 1)
    return n
