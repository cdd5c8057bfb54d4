"""Whether two checkpoints can be before and after one fine-tuning. Read from their files; nothing is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aftertune.errors import InputError
from aftertune.models import adapters
from aftertune.models.folder import is_adapter, json_of, looks_like_path, resolve
from aftertune.models.headers import read_header
from aftertune.types import Check

BLOCK = 2**22
"""Bytes compared at once."""

SIZES = (
    ("layers", ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers")),
    ("hidden size", ("hidden_size", "d_model", "n_embd")),
    ("attention heads", ("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads")),
)
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def adapter_base(checkpoint: str | Path) -> str | None:
    """Path or hub id of the model that an adapter says it was trained on; None for whole models.

    An adapter on the hub is read where the hub's cache holds it.
    """
    file = _file(str(checkpoint), adapters.CONFIG)
    return None if file is None else adapters.read_config(file.parent).get("base_model_name_or_path") or None


def check_parent(before: str | Path, after: str | Path, *, allow: bool = False) -> list[Check]:
    """Refuse an adapter that was trained on another model than the one given as "before".

    Two adapters of one base may be before and after. A base that cannot be found is taken to be "before": `load`
    puts the adapter on that, and says so.

    Parameters
    ----------
    allow : the person knows (`--allow-other-base`): what would be refused is a finding.

    Returns
    -------
    list of Check
        What was found; [] for whole models, which record no base, unless "before" was trained on "after".

    Raises
    ------
    InputError
        Names both models, and the option.
    """
    found = partial(Check, check="base of the adapter", checkpoint=str(after))
    base, own_base = adapter_base(after), adapter_base(before)
    if base is None and own_base is not None and same_model(own_base, after):
        message = f"{before} is an adapter that was trained on {after}: were the two swapped? Give {after} first"
        return [found(level="warning", value=1, message=message)]
    if base is None:
        return []
    if looks_like_path(base) and not Path(resolve(base)).exists():
        return [found(level="note", message=f"not known: {base}, on which it was trained, is not here")]
    parents = [str(before), own_base]
    if any(parent is not None and same_model(parent, base) for parent in parents):
        return [found(level="ok", value=0, message=f"the adapter was trained on {base}")]
    said = f"the adapter {after} was trained on {base}, not on {before}"
    if not allow:
        raise InputError(
            f"{said}: give {base} as the model before, or --allow-other-base if you mean to compare with another"
        )
    return [found(level="refused", value=1, message=f"{said}: what changed is not what fine-tuning changed")]


def same_model(a: str | Path, b: str | Path) -> bool:
    """Whether two names stand for the same weights: the same folder or hub id, or equal weights in their files.

    A model on the hub is compared by its files where the hub's cache holds them, else by its id.
    """
    first, second = resolve(a), resolve(b)
    if first.rstrip("/") == second.rstrip("/"):
        return True
    if not any(Path(name).exists() for name in (first, second)):
        return first.casefold() == second.casefold()  # the hub tells no capitals apart
    if is_adapter(first) or is_adapter(second):
        return _same_adapter(first, second)
    tensors = [_tensors(_files(name)) for name in (first, second)]
    return all(tensors) and _same_tensors(*tensors)


def _same_adapter(a: str, b: str) -> bool:
    if not (is_adapter(a) and is_adapter(b)):
        return False
    first, second = (_tensors([Path(name) / adapters.WEIGHTS]) for name in (a, b))
    bases = [adapter_base(name) for name in (a, b)]
    return _same_tensors(first, second) and None not in bases and same_model(str(bases[0]), str(bases[1]))


def _files(checkpoint: str) -> list[Path]:
    """The files of weights; none where one of them is not here."""
    names = ["model.safetensors"]
    if _file(checkpoint, names[0]) is None:
        index = json_of(_file(checkpoint, "model.safetensors.index.json"))
        names = sorted(set(index.get("weight_map", {}).values()))
    found = [file for name in names if (file := _file(checkpoint, name)) is not None]
    return found if len(found) == len(names) else []


def _file(checkpoint: str, name: str) -> Path | None:
    """A file of a folder, or of a model in the hub's cache; None where it is not here."""
    text = resolve(checkpoint)
    folder = Path(text)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(text, name)
    except HFValidationError:  # neither a folder nor an id
        return None
    return Path(found) if isinstance(found, str) else None


_Tensor = tuple[Path, int, Mapping[str, Any]]
"""A file, where in it the data begin, and the header (dtype, shape, offsets)."""


def _tensors(files: Iterable[Path]) -> dict[str, _Tensor]:
    """The tensors of some files, by name."""
    found = {}
    for file in files:
        start, header = read_header(file)
        found |= {name: (file, start, entry) for name, entry in header.items()}
    return found


def _same_tensors(a: dict[str, _Tensor], b: dict[str, _Tensor]) -> bool:
    headers = [{name: (entry["dtype"], entry["shape"]) for name, (*_, entry) in one.items()} for one in (a, b)]
    return headers[0] == headers[1] and all(_same_bytes(a[name], b[name]) for name in a)


def _same_bytes(a: _Tensor, b: _Tensor) -> bool:
    return a[0].samefile(b[0]) or all(x == y for x, y in zip(_blocks(*a), _blocks(*b), strict=True))


def _blocks(file: Path, data: int, entry: Mapping[str, Any]) -> Iterator[bytes]:
    start, end = entry["data_offsets"]
    with file.open("rb") as stream:
        stream.seek(data + start)
        for at in range(start, end, BLOCK):
            yield stream.read(min(BLOCK, end - at))


def relation_checks(before: str | Path, after: str | Path) -> list[Check]:
    """Can one checkpoint have been fine-tuned from the other, and do they read the same tokens?

    config.json, the tokenizer's files and some weights are read. Of what is not here (a model on the hub that is
    not in its cache) a note says that it is not known.
    """
    before, after = str(before), str(after)
    return [_architecture(before, after), *_weights(before, after), *_tokenizers(before, after)]


def _architecture(before: str, after: str) -> Check:
    found = partial(Check, check="architecture", checkpoint=after)
    configs = [json_of(_file(adapter_base(name) or name, "config.json")) for name in (before, after)]
    if not all(configs):
        return found(level="note", message="not known: config.json is not here")
    first, second = ({**config, **config.get("text_config", {})} for config in configs)
    kinds = [config.get("model_type") for config in (first, second)]
    if kinds[0] != kinds[1]:
        message = f"{before} is of the architecture {kinds[0]}, {after} of {kinds[1]}: neither comes of the other"
        return found(level="warning", value=1, message=message)
    different = []
    for what, names in (*SIZES, ("embeddings", ("vocab_size",))):
        values = [next((config[name] for name in names if config.get(name)), None) for config in (first, second)]
        if values[0] != values[1]:
            different.append((what, *values))
    if not different:
        return found(level="ok", value=0, message="architecture and sizes are the same")
    n = len(different)
    if [what for what, *_ in different] == ["embeddings"]:
        (_, first_n, second_n), *_ = different
        counted = isinstance(first_n, int) and isinstance(second_n, int)
        added = counted and second_n >= FEWER * first_n
        meant = "tokens were added?" if added else "fine-tuning takes none out: neither comes of the other"
        message = f"{before} and {after} have {first_n} and {second_n} embeddings: {meant}"
        return found(level="note" if added else "warning", value=n, message=message)
    listed = ", ".join(f"{what} {a} and {b}" for what, a, b in different)
    message = f"{before} and {after} differ in size ({listed}): neither comes of the other"
    return found(level="warning", value=n, message=message)


FEWER = 0.95
"""A model may lose so few embeddings, by part: rows that no token had, which fill a table up to a round number."""
UNRELATED = 0.5
"""Correlation of weights below which one model does not come of the other. Of the embedded models, those that were
trained apart have between −0.006 and 0.009, and those that `quickstart` fine-tunes 0.87 and 0.9999."""


def _weights(before: str, after: str) -> list[Check]:
    """How like the weights of two whole models are, by the beginning of the largest tensor that both have."""
    if adapter_base(before) is not None or adapter_base(after) is not None:
        return []
    try:
        first, second = (_tensors(_files(resolve(name))) for name in (before, after))
    except InputError:  # a header that is told of when the model is loaded
        return []
    both = {
        name: size
        for name in first.keys() & second.keys()
        if _form(first[name]) == _form(second[name]) and (size := _form(first[name])[1]) is not None
    }
    if not both:
        return []
    name = max(both, key=lambda one: (both[one], one))
    a, b = (_numbers(tensor) for tensor in (first[name], second[name]))
    if a is None or b is None or not (a.any() and b.any()):
        return []
    like = float(a @ b / np.sqrt((a @ a) * (b @ b)))
    found = partial(Check, check="weights", checkpoint=after, value=like)
    if like < UNRELATED:
        message = (
            f"the weights of {after} are not those of {before} a little changed (correlation {like:.2f}): was it "
            "fine-tuned from another model?"
        )
        return [found(level="warning", message=message)]
    same = "the same as" if np.array_equal(a, b) else "near"
    return [found(level="ok", message=f"weights after are {same} those before (correlation {like:.3f})")]


def _form(tensor: _Tensor) -> tuple[str, int | None]:
    """The shape, and the number of values; None for kinds of numbers that are not read."""
    entry = tensor[2]
    return str(entry["shape"]), math.prod(entry["shape"]) if entry["dtype"] in _KINDS else None


_KINDS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def _numbers(tensor: _Tensor) -> np.ndarray | None:
    file, data, entry = tensor
    width = np.dtype(_KINDS[entry["dtype"]]).itemsize
    count = min(math.prod(entry["shape"]), BLOCK // 4)
    with file.open("rb") as stream:
        stream.seek(data + entry["data_offsets"][0])
        content = stream.read(count * width)
    if len(content) < count * width:
        return None
    values = np.frombuffer(content, dtype=_KINDS[entry["dtype"]])
    if entry["dtype"] == "BF16":  # the upper half of a float32
        values = (values.astype("<u4") << 16).view("<f4")
    values = values.astype(np.float64)
    return values if np.isfinite(values).all() else None


def _tokenizers(before: str, after: str) -> list[Check]:
    first, second = _vocabulary(before), _vocabulary(after)
    found = partial(Check, check="tokenizer", checkpoint=after)
    checks = []
    if first is None or second is None:
        checks.append(found(level="note", message="not known: tokenizer.json is not here"))
    elif first != second:
        parts, n = [], 0
        for here, there, where in ((first, second, "before"), (second, first, "after")):
            only = sorted(here.keys() - there.keys(), key=here.__getitem__)
            n += len(only)
            if only:
                parts.append(f"{len(only)} only {where} (first {only[0]!r})")
        moved = sorted(token for token in first.keys() & second.keys() if first[token] != second[token])
        if moved:
            parts.append(f"{len(moved)} with other ids (first {moved[0]!r})")
        message = f"the tokenizers of {before} and {after} have different tokens: {', '.join(parts)}"
        checks.append(found(level="warning", value=n + len(moved), message=message))
    old, new = _special_tokens(before), _special_tokens(after)
    changed = []
    if old and new:
        changed = [f"{name} {old[name]!r} and {new[name]!r}" for name in SPECIAL if old[name] != new[name]]
        if changed:
            listed = ", ".join(changed)
            message = f"the tokenizers of {before} and {after} have different special tokens: {listed}"
            checks.append(found(level="warning", value=len(changed), message=message))
    return checks or [found(level="ok", value=0, message="tokenizers have the same tokens")]


def _tokenizer_home(checkpoint: str) -> str:
    """The checkpoint whose tokenizer is used: an adapter's own, where it has one."""
    base = adapter_base(checkpoint)
    own = _file(checkpoint, "tokenizer_config.json") is not None
    return checkpoint if base is None or own else base


def _vocabulary(checkpoint: str) -> dict[str, int] | None:
    """Ids by token, as tokenizer.json has them; None without one."""
    content = json_of(_file(_tokenizer_home(checkpoint), "tokenizer.json"))
    vocabulary = content.get("model", {}).get("vocab")
    if vocabulary is None:
        return None
    if isinstance(vocabulary, list):  # unigram: token and its score
        vocabulary = {token: i for i, (token, _) in enumerate(vocabulary)}
    return {**vocabulary, **{one["content"]: one["id"] for one in content.get("added_tokens", [])}}


def _special_tokens(checkpoint: str) -> dict[str, str | None]:
    """What the tokenizer's configuration says of each of `SPECIAL`; empty without one."""
    config = json_of(_file(_tokenizer_home(checkpoint), "tokenizer_config.json"))
    found = {name: config.get(name) for name in SPECIAL if config}
    return {name: one.get("content") if isinstance(one, Mapping) else one for name, one in found.items()}
