"""PEFT adapters: which kinds can be decoded, and how one is put on its base model."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aftertune.errors import InputError, shortened, shown
from aftertune.models.headers import numbers_in, read_header, read_object

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

VIRTUAL_TOKENS = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE")
"""Kinds that put virtual tokens in front of every prompt; `generate.rows` decodes them."""

LAYERS = (
    "LORA", "ADALORA", "ADAMSS", "BOFT", "ADAPTION_PROMPT", "IA3", "BEFT", "LOHA", "LOKR", "OFT", "LN_TUNING",
    "VERA", "FROD", "PVERA", "FOURIERFT", "GLORA", "HRA", "VBLORA", "UNILORA", "MISS", "RANDLORA", "ROAD",
    "TRAINABLE_TOKENS", "HIRA", "SHIRA", "C3A", "WAVEFT", "OSF", "DELORA", "GRALORA", "TINYLORA", "PSOFT",
    "PEANUT", "SUPERTUNING", "DEFT",
)  # fmt: skip
"""Kinds that change layers of the model and nothing else."""

REFUSED = {
    "MULTITASK_PROMPT_TUNING": "it needs the number of a task beside each prompt",
    "POLY": "it needs the number of a task beside each prompt",
    "XLORA": "it reads every prompt twice and mixes several adapters",
    "LILY": "what it computes for a prompt depends on the other prompts of the batch",
    "SHADOW": "it keeps a second model beside the base model",
}
"""Kinds that cannot be decoded as `collect` decodes, and why."""

TASK_TYPES = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}


def read_config(folder: Path) -> dict[str, Any]:
    """The content of an adapter's configuration.

    Raises
    ------
    InputError
        The file holds no JSON object.
    """
    return read_object(folder / CONFIG)


def check_kind(config: Mapping[str, Any], name: str, kind: str | None = None) -> None:
    """Refuse an adapter that cannot be decoded, or that is made for another use of the model.

    Parameters
    ----------
    config : `adapter_config.json`, or a PEFT configuration as a dict.
    name : of the adapter, for the message.
    kind : "causal" or "seq2seq" where the model is known.
    """
    method = getattr(config.get("peft_type"), "value", config.get("peft_type"))
    why = REFUSED.get(str(method))
    if why is None and method not in (*VIRTUAL_TOKENS, *LAYERS):
        why = "this version of aftertune has not been tried with it"
    if why is None and config.get("alora_invocation_tokens"):
        method, why = "activated LoRA", "it acts only behind certain tokens of a prompt"
    if why is None and config.get("arrow_config"):
        method, why = "Arrow", "it mixes several adapters"
    if why is not None:
        raise InputError(f"the adapter {name} cannot be decoded: {method}: {why}")
    task = getattr(config.get("task_type"), "value", config.get("task_type"))
    task = task if task is None else str(task)
    if method in VIRTUAL_TOKENS:
        wanted = set(TASK_TYPES.values()) if kind is None else {TASK_TYPES[kind]}
    else:
        wanted = {*TASK_TYPES.values(), None}
    if task not in wanted:
        raise InputError(
            f"the adapter {name} is of task_type {task}, and would not act as it was trained: "
            f"{' or '.join(sorted(filter(None, wanted)))} is wanted"
        )


def unwrapped(model: Any) -> Any:
    """The transformers model inside a PEFT model (whose layers already carry the adapters)."""
    from peft import PeftModel

    return model.get_base_model() if isinstance(model, PeftModel) else model


def check_adapter(model: Any, name: str, kind: str) -> None:
    """`check_kind` for the adapter that is active in a model, where there is one."""
    config = _active(model)
    if config is not None:
        check_kind(config.to_dict(), f"of {name}", kind)


def virtual_tokens(model: Any) -> int:
    """How many virtual tokens the model's adapter puts in front of a prompt; 0 without such an adapter.

    In an encoder–decoder, those of prefix and cartridge adapters stand in the decoder, in front of every output.
    """
    config = _active(model)
    return config.num_virtual_tokens if config is not None and config.is_prompt_learning else 0


def is_prefix(model: Any) -> bool:
    """Whether the model's virtual tokens are keys and values, and not embeddings."""
    config = _active(model)
    return config is not None and config.peft_type in ("PREFIX_TUNING", "CARTRIDGE")


def _active(model: Any) -> Any:
    """The configuration of the adapter in force, or None."""
    from peft import PeftModel

    if not isinstance(model, PeftModel) or not model.has_active_enabled_adapter:
        return None
    return model.active_peft_config


def on_base(base: Any, folder: Path) -> tuple[Any, tuple[str, ...]]:
    """Put the adapter in `folder` on a base model, which is changed by that.

    The base gets as many embeddings as the adapter was trained with, where the adapter brings those that are new.

    Returns
    -------
    model, notes
        The PEFT model in evaluation mode; notes name weights of the file that nothing uses.

    Raises
    ------
    InputError
        The adapter does not fit: weights are absent, of another shape, or of layers that the base does not have.
    """
    from peft import PeftModel

    if "peft_type" not in read_config(folder):
        raise InputError("has no peft_type: save the adapter again", file=folder / CONFIG)
    _check_size(folder)
    device = str(base.device)
    try:
        _fit_vocabulary(base, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on training and merging, neither of which is done here
            warnings.filterwarnings("error", message="Found missing adapter keys", category=UserWarning)
            model = PeftModel.from_pretrained(base, str(folder), torch_device=device)
            # Once more, since only this says what was left over.
            unused = model.load_adapter(str(folder), "default", torch_device=device).unexpected_keys
            _run_once(model.eval())
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - of PEFT, on files that others wrote
        raise InputError(f"the adapter in {folder} does not fit its base model: {reason(error)}") from None
    return model, _unused(model, folder, unused)


def _check_size(folder: Path) -> None:
    """Refuse a configuration that asks for far more memory than the adapter's weights have."""
    config, n = read_config(folder), numbers_in(read_header(folder / WEIGHTS)[1])
    for name in ("r", "num_virtual_tokens"):
        value = config.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= n):
            raise InputError(
                f"{name} is {shown(value)}, and the weights beside it hold {n:,} numbers: mend it, or save the "
                "adapter again",
                file=folder / CONFIG,
            )


def reason(error: Exception) -> str:
    """What another library says is wrong with a file, in one line."""
    said = shortened(" ".join(str(error).split()).rstrip("."), 240)
    known = isinstance(error, OSError | ValueError | RuntimeError | UserWarning) and said
    return said if known else f"{type(error).__name__} {said}".rstrip()


def _run_once(model: Any) -> None:
    """Read one token: PEFT also accepts adapters that a model cannot run with (prefixes for other heads)."""
    import torch

    one = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    with torch.no_grad():
        model(input_ids=one, **({"decoder_input_ids": one} if model.config.is_encoder_decoder else {}))


def _unused(model: Any, folder: Path, keys: Sequence[str]) -> tuple[str, ...]:
    """A note on weights that nothing uses; `InputError` where they are of layers that the base does not have."""
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    config = model.active_peft_config
    names = sorted(key for key in keys if not _COPIES.search(key))
    if config.is_prompt_learning:
        names = [name for name in names if name != "prompt_embeddings"]  # read, but not as a state
    if not names:
        return ()
    prefix = PEFT_TYPE_TO_PREFIX_MAPPING.get(config.peft_type)
    if prefix and any(prefix in name for name in names):
        raise InputError(
            f"the adapter in {folder} does not fit its base model, which has no place for {first_of(names)}"
        )
    return (f"the adapter in {folder} has weights that nothing uses: {first_of(names)}",)


_COPIES = re.compile(r"\.(modules_to_save|token_adapter)\.")
"""In the names of weights that PEFT saves a second time, for tied embeddings and for resized ones."""

_ROWS = ("weight", "modules_to_save.weight", "base_layer.weight", "token_adapter.base_layer.weight")
"""Names under which an adapter holds a whole embedding matrix, one row per token."""


def _fit_vocabulary(base: Any, folder: Path) -> None:
    """Give the base as many embeddings as the adapter was trained with.

    An adapter that was trained with added tokens holds all embeddings (`modules_to_save`, or because they had been
    resized), or the rows of the added tokens (`trainable_token_indices`).
    """
    shapes, config = _shapes(folder / WEIGHTS), read_config(folder)
    parts = {"input": base.get_input_embeddings(), "output": base.get_output_embeddings()}
    rows, sizes, whole, trained = parts["input"].weight.shape[0], set(), set(), {}
    for part, module in parts.items():
        name = next((name for name, one in base.named_modules() if one is module), None)
        prefix = f"base_model.model.{name}."
        found = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
        if any(row in found for row in _ROWS):
            whole.add(part)
        sizes |= {found[row][0] for row in _ROWS if row in found}
        sizes |= {shape[1] for key, shape in found.items() if key == "lora_embedding_A"}
        sizes |= {shape[0] for key, shape in found.items() if key == "lora_B.weight" and part == "output"}
        if "token_adapter.trainable_tokens_delta" in found or "trainable_tokens_delta" in found:
            trained[part] = _token_indices(config, str(name))
    if len(sizes) > 1:
        listed = ", ".join(map(str, sorted(sizes)))
        raise InputError(f"the adapter in {folder} has embeddings for {listed} tokens: it does not fit itself")
    n = max([*sizes] or [rows, *(max(ids, default=-1) + 1 for ids in trained.values())])
    if n == rows:
        return
    brought = whole | {part for part, ids in trained.items() if ids >= set(range(rows, n))}
    tied = parts["output"] is None or parts["output"].weight is parts["input"].weight
    absent = [part for part in parts if part not in brought]
    if n > rows and absent and not (tied and brought):
        raise InputError(
            f"the adapter in {folder} was trained with {n - rows} more tokens than its base model has, and lacks "
            f"their {absent[0]} embeddings: save it with save_pretrained(..., save_embedding_layers=True)"
        )
    base.resize_token_embeddings(n, mean_resizing=False)


def _token_indices(config: Mapping[str, Any], name: str) -> set[int]:
    """Tokens whose embeddings are trained in the module `name`."""
    given = config.get("trainable_token_indices") or config.get("token_indices") or ()
    if isinstance(given, Mapping):
        given = next((ids for key, ids in given.items() if name == key or name.endswith(f".{key}")), ())
    return set(given)


def _shapes(file: Path) -> dict[str, list[int]]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}  # noqa: SIM118


def first_of(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
