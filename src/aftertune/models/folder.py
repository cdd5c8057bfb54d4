"""What a checkpoint's name stands for, what its folder holds, and its fingerprint. Nothing heavy is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aftertune.errors import InputError, shown
from aftertune.files.hashes import is_remembered, remembered_sha256
from aftertune.models import adapters, embedded
from aftertune.models.headers import numbers_in, read_header, read_object
from aftertune.signature import digest

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
READ_STRICTLY = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "model.safetensors.index.json",
)
"""Files that, where they are there, hold a JSON object: transformers passes over some that do not."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model")

QUANTISERS = {
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "gptq": ("gptqmodel", "gptqmodel optimum"),
    "awq": ("gptqmodel", "gptqmodel"),
    "hqq": ("hqq", "hqq"),
    "quanto": ("optimum.quanto", "optimum-quanto"),
    "compressed-tensors": ("compressed_tensors", "compressed-tensors"),
    "torchao": ("torchao", "torchao"),
    "aqlm": ("aqlm", "aqlm[gpu,cpu]"),
    "auto-round": ("auto_round", "auto-round"),
    "eetq": ("kernels", "kernels"),
    "fbgemm_fp8": ("fbgemm_gpu", "fbgemm-gpu"),
    "fp_quant": ("fp_quant", "fp_quant"),
    "higgs": ("flute", "flute-kernel"),
    "quark": ("quark", "amd-quark"),
    "spqr": ("spqr_quant", "spqr_quant[gpu]"),
    "vptq": ("vptq", "vptq"),
}
"""Method of `quantization_config` → the module that reads it, and what pip calls it. Others need no package."""


def resolve(checkpoint: str | Path) -> str:
    """The absolute path that a name stands for (also an embedded model's), or the name where nothing is here."""
    text = str(checkpoint)
    if not text.strip() or "\0" in text:
        raise InputError(f"a model is named {text!r}: give a folder, a hub id, or embedded:NAME")
    if text.startswith(embedded.PREFIX):
        return str(embedded.path(text))
    try:
        folder = Path(text).expanduser()
        return str(folder.absolute()) if folder.exists() else text
    except (OSError, RuntimeError) as error:  # a name that is too long, or ~nobody
        why = getattr(error, "strerror", None) or error
        raise InputError(f"the model {text!r} cannot be looked for: {why}") from None


def looks_like_path(text: str) -> bool:
    """True for what can only be a folder: a hub id is `name` or `owner/name`, nothing else."""
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or text.endswith("/") or "\\" in text


def is_adapter(checkpoint: str | Path) -> bool:
    """Whether a folder holds an adapter."""
    return (Path(resolve(checkpoint)) / adapters.CONFIG).is_file()


def base_of_adapter(folder: str | Path) -> str:
    """Path or hub id of the model that an adapter was trained on.

    Raises
    ------
    InputError
        The adapter's configuration does not name it, or names the adapter itself, perhaps through others.
    """
    where = first = Path(resolve(folder))
    base, found = _recorded_base(where), {where.resolve()}
    following = base
    while is_adapter(following):
        where = Path(resolve(following))
        if where.resolve() in found:
            raise InputError(
                f"names {base} in base_model_name_or_path, whose base is this adapter again: write there which "
                "model it adapts",
                file=first / adapters.CONFIG,
            )
        found.add(where.resolve())
        following = _recorded_base(where)
    return base


def _recorded_base(folder: Path) -> str:
    base = adapters.read_config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base.strip():
        said = "has no base_model_name_or_path" if not base else f"base_model_name_or_path is {shown(base)}"
        raise InputError(f"{said}: write there which model it adapts", file=folder / adapters.CONFIG)
    return base


def check_checkpoint(checkpoint: str | Path) -> None:
    """Refuse, before anything heavy is imported, a folder that cannot be a checkpoint.

    Raises
    ------
    InputError
        Says what is there instead, and what to give or how to convert it.
    """
    text = resolve(checkpoint)
    folder = Path(text)
    if not folder.exists():
        if looks_like_path(text):
            raise InputError(f"model folder {text} does not exist")
        return
    if not folder.is_dir():
        raise InputError(f"{text} is a file: give the folder that holds config.json and model.safetensors")
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise InputError(f"model folder {text} cannot be read: {error.strerror}") from None
    for name in (*READ_STRICTLY, *WEIGHTS, *TOKENIZER, adapters.CONFIG, adapters.WEIGHTS):
        if name in names and not (folder / name).is_file():
            raise InputError(f"{folder / name} is no file (a folder, or a link to nothing): put the file there")
    if adapters.CONFIG in names:
        if adapters.WEIGHTS not in names:
            hint = ""
            if "adapter_model.bin" in names:
                hint = (
                    ": adapter_model.bin is pickled, which is not read; where you trust it: safetensors.torch."
                    "save_file(torch.load('adapter_model.bin', weights_only=True), 'adapter_model.safetensors')"
                )
            raise InputError(f"adapter folder {text} has no {adapters.WEIGHTS}{hint}")
        base_of_adapter(folder)
        config = adapters.read_config(folder)
        if "peft_type" in config:
            adapters.check_kind(config, text)
        read_header(folder / adapters.WEIGHTS)
        _check_objects(folder, names)
        return
    if "config.json" not in names or not names.intersection(WEIGHTS):
        raise InputError(_no_model(folder, names))
    _check_objects(folder, names)
    config = read_object(folder / "config.json")
    check_quantiser(config, text)
    _check_sizes(folder / "config.json", config, tensors_in(folder))
    if not names.intersection(TOKENIZER):
        raise InputError(f"model folder {text} has no tokenizer: save it there with tokenizer.save_pretrained()")


def _check_objects(folder: Path, names: Set[str]) -> None:
    for name in (name for name in READ_STRICTLY if name in names):
        for key, value in read_object(folder / name).items():
            ids = value if isinstance(value, list) else [] if value is None else [value]
            wrong = [one for one in ids if isinstance(one, bool) or not isinstance(one, int)]
            if key.endswith("_token_id") and wrong:
                raise InputError(
                    f"{key} is {shown(wrong[0])}, and a token's id or a list of ids is wanted: mend it",
                    file=folder / name,
                )


def check_quantiser(config: Mapping[str, Any], name: str) -> None:
    """Refuse quantised weights whose package is not installed.

    Parameters
    ----------
    config : `config.json`.
    """
    method = quantisation(config)
    module, package = QUANTISERS.get(str(method), (None, None))
    try:
        if module is None or find_spec(module) is not None:
            return
    except ModuleNotFoundError:  # of a module inside a package that is not there
        pass
    raise InputError(f"the weights of {name} are quantised ({method}): reading them needs `pip install {package}`")


def quantisation(config: Mapping[str, Any]) -> str | None:
    """How the weights are quantised; None where they are not."""
    given = config.get("quantization_config") or config.get("compression_config")
    if not given:
        return None
    if isinstance(given, str | int | float | list):
        raise InputError(f"quantization_config in config.json is {shown(given)}: a JSON object is wanted")
    given = given if isinstance(given, Mapping) else given.to_dict()
    method = given.get("quant_method")
    if method is None and (given.get("load_in_4bit") or given.get("load_in_8bit")):
        return "bitsandbytes"
    return str(getattr(method, "value", method))


def _no_model(folder: Path, names: set[str]) -> str:
    """What is wrong with a folder that has no configuration or no weights that can be read, as a message."""
    if any(name.startswith(("global_step", "zero_pp_rank_", "mp_rank_")) for name in names):
        root = folder.parent if folder.name.startswith("global_step") else folder
        return (
            f"{folder} holds DeepSpeed's shards, not a model: make one with `python {root / 'zero_to_fp32.py'} "
            f"{root} {root} --safe_serialization`, and give {root}"
        )
    sharded = next((name for name in sorted(names) if name.startswith("pytorch_model_fsdp")), None)
    if sharded is not None or any(name.endswith(".distcp") for name in names):
        shards = folder if sharded is None else folder / sharded
        return (
            f"{folder} holds FSDP's shards, not a model: make one with `accelerate merge-weights {shards} OUT`, "
            "put its config.json and tokenizer beside it, and give OUT"
        )
    inside = _checkpoints_inside(folder)
    if inside:
        listed = ", ".join(map(str, inside[-5:]))
        more = f"the last 5 of {len(inside)}: " if len(inside) > 5 else ""
        return f"{folder} holds no model itself, but checkpoints: give one of them ({more}{listed})"
    if "config.json" not in names:
        return f"model folder {folder} has no config.json (nor an {adapters.CONFIG})"
    hint = ""
    pickled = next((name for name in sorted(names) if name.endswith((".bin", ".pt", ".pth"))), None)
    if any(name.endswith(".gguf") for name in names):
        hint = ": GGUF files are not read, give the model that they were made of"
    elif pickled is not None:
        hint = (
            f": {pickled} is pickled, and pickled weights are not read; load it where you trust it, and save "
            "again with save_pretrained()"
        )
    return f"model folder {folder} has no weights (model.safetensors){hint}"


def _checkpoints_inside(folder: Path) -> list[Path]:
    """Checkpoints one level below, the newest (highest numbered) last."""
    configs = (adapters.CONFIG, "config.json")
    found = [entry for entry in folder.iterdir() if any((entry / name).is_file() for name in configs)]
    return sorted(found, key=lambda entry: [int(n) if n.isdigit() else 0 for n in re.findall(r"\d+", entry.name)])


def tensors_in(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The headers of all files of weights.

    Raises
    ------
    InputError
        An index that names files that are not there or are no weights, or a file that is damaged.
    """
    whole, index = folder / WEIGHTS[0], folder / WEIGHTS[1]
    if whole.exists():
        return dict(read_header(whole)[1])
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(one, str) for one in places.values()):
        raise InputError("weight_map is wrong: a JSON object, tensor → file, is wanted", file=index)
    shards = sorted(set(places.values()))
    strange = [name for name in shards if Path(name).name != name or not name.endswith(".safetensors")]
    if strange:
        raise InputError(
            f"names {shown(strange[0])}: only .safetensors files beside it are read; save the model again with "
            "save_pretrained()",
            file=index,
        )
    absent = [name for name in shards if not (folder / name).is_file()]
    if absent:
        lost = adapters.first_of(absent)
        raise InputError(f"model folder {folder} lacks {lost}, which {index.name} names: copy it there")
    found = {shard: read_header(folder / shard)[1] for shard in shards}
    gone = sorted(name for name, shard in places.items() if name not in found[shard])
    if gone:
        raise InputError(
            f"names {adapters.first_of(gone)} in {places[gone[0]]}, where it is not: copy or save the "
            "weights again",
            file=index,
        )
    return {name: entry for header in found.values() for name, entry in header.items()}


LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers", "decoder_layers")
WIDTHS = ("hidden_size", "d_model", "n_embd", "intermediate_size", "d_ff", "vocab_size", "d_kv", "head_dim")
HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "num_key_value_heads")


def _check_sizes(file: Path, config: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse sizes in a configuration that are no numbers, or too large for the weights."""
    numbers = numbers_in(tensors)
    if not isinstance(config.get("text_config", {}), dict):
        raise InputError(
            f"does not load: text_config is {shown(config['text_config'])}, no JSON object", file=file
        )
    inner = [config[key] for key in ("text_config", "decoder", "encoder") if isinstance(config.get(key), dict)]
    for part in (config, *inner):
        for name in (*LAYERS, *WIDTHS, *HEADS):
            value = part.get(name)
            if value is None or isinstance(value, list):
                continue
            wrong = isinstance(value, bool) or not isinstance(value, int) or value < 0
            most = len(tensors) if name in LAYERS else 8 * numbers
            if wrong:
                raise InputError(
                    f"does not load: {name} is {shown(value)}, and a number from 1 is wanted", file=file
                )
            if value > most:
                raise InputError(
                    f"does not load: {name} is {shown(value)}, and the weights beside it hold {len(tensors):,} "
                    f"tensors with {numbers:,} numbers: mend it",
                    file=file,
                )


def json_of(file: Path | None) -> dict[str, Any]:
    """The JSON object in a file; empty where there is no file or no object, which loading will say."""
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


_READ_BY_MODELS = (".safetensors", ".json", ".jinja", ".model", ".txt", ".py")
_WRITTEN_BY_TRAINERS = re.compile(r"trainer_state\.json|(all|train|eval|predict)_results\.json")
LONG = 1 << 30
"""Bytes (1 GiB) of weights whose hashing a person is told of."""


def fingerprint(checkpoint: str | Path) -> str:
    """Digest of what a model reads: content of the folder's files; for an adapter, of its base model's too.

    A hub id stands for its commit.
    """
    text = resolve(checkpoint)
    folder = Path(text)
    if not folder.is_dir():
        return digest([text, _commit(text)])
    files = [(path.relative_to(folder).as_posix(), remembered_sha256(path)) for path in _read_files(folder)]
    base = fingerprint(base_of_adapter(folder)) if is_adapter(folder) else None
    return digest([files, base])


def hashing_notes(checkpoints: Iterable[str | Path]) -> Iterator[str]:
    """One sentence where much has to be read for the fingerprints."""
    folders = [Path(resolve(one)).expanduser() for one in checkpoints]
    files = [path for folder in folders if folder.is_dir() for path in _read_files(folder)]
    size = sum(path.stat().st_size for path in files if not is_remembered(path))
    if size > LONG:
        yield f"reading {size / 1e9:.1f} GB of weights for their SHA-256, which is kept for later commands"


def _read_files(folder: Path) -> list[Path]:
    files = [*folder.iterdir(), *folder.glob("*_templates/*")]
    return sorted(
        path
        for path in files
        if path.is_file()
        and path.suffix in _READ_BY_MODELS
        and not path.name.startswith(".")
        and not _WRITTEN_BY_TRAINERS.fullmatch(path.name)
    )


def _commit(hub_id: str) -> str | None:
    """Commit of a model of the hub, as its cache or the hub says; None where neither does."""
    from huggingface_hub import hf_hub_download

    try:
        config = hf_hub_download(hub_id, "config.json")
    except Exception:  # noqa: BLE001 - whatever is wrong, loading the model will say it
        return None
    return Path(config).parent.name
