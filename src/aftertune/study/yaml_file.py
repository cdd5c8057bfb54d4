"""YAML files, read by the rules of YAML 1.2, and the line where each of their values stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from aftertune.errors import InputError


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, where ``5e-5`` is text, ``on`` is true, ``1:30`` is 90 and ``010`` is 8."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"""
    ),
    list("-+0123456789."),
)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


def read_yaml(path: Path) -> tuple[dict[str, Any], yaml.Node]:
    """The mapping that a file holds, and its node tree for `line_of`.

    Raises
    ------
    InputError
        With file and line: not text, not YAML, not a mapping, a key that stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=_Loader)
        if not isinstance(node, yaml.MappingNode):
            raise InputError("a study is a mapping: write name, models, tasks, …", file=path)
        _refuse_duplicates(path, node, set())
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML: {error.problem}", file=path, line=line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"not YAML: {error.reason} (#x{error.character:04x})", file=path, line=line) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    return content, node


def line_of(node: yaml.Node, where: Sequence[str | int]) -> int:
    """Line of the deepest node on the path that exists; of the key itself where it is one."""
    line = node.start_mark.line
    for part in where:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1


def _refuse_duplicates(path: Path, node: yaml.Node, above: set[int]) -> None:
    if id(node) in above:
        raise InputError(
            "a value holds itself (an alias inside its anchor)", file=path, line=node.start_mark.line + 1
        )
    inside = {*above, id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError("a key is one word, not a list or a mapping", file=path, line=line)
            if key.value in seen:
                raise InputError(f"key {key.value} stands twice", file=path, line=line)
            seen.add(key.value)
            _refuse_duplicates(path, value, inside)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_duplicates(path, value, inside)
