"""Load a checkpoint (a folder, a hub id, an adapter folder, or one of the embedded tiny models), and save one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aftertune.errors import InputError, first_line
from aftertune.files.atomic import atomic_folder
from aftertune.models import adapters
from aftertune.models.adapters import first_of, reason
from aftertune.models.folder import (
    base_of_adapter,
    check_checkpoint,
    check_quantiser,
    is_adapter,
    looks_like_path,
    quantisation,
    resolve,
    tensors_in,
)
from aftertune.models.headers import numbers_in
from aftertune.models.loaded import LoadedModel, without_weights, wrap

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How weights are loaded.

    Attributes
    ----------
    dtype : one of DTYPES.
    device : "cpu", "cuda", "cuda:1", …; None takes CUDA where there is one.
    trust_remote_code : run code that comes with the model; off unless the user asks.
    """

    dtype: str = "float32"
    device: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InputError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")


def load(
    checkpoint: str | Path, options: LoadOptions | None = None, *, base: str | Path | None = None
) -> LoadedModel:
    """Load model and tokenizer in evaluation mode.

    Parameters
    ----------
    base : what an adapter is put on where the model that it was trained on cannot be found (an adapter's folder
        stands for its own base); a note says so.

    Raises
    ------
    InputError
        The folder lacks weights or a tokenizer, or the hub id cannot be reached.
    """
    check_checkpoint(checkpoint)
    options = options or LoadOptions()
    text = resolve(checkpoint)
    folder = _adapter(text)
    if folder is not None:
        return _load_adapter(str(checkpoint), folder, options, base)
    model, notes = _model(text, options)
    loaded = replace(wrap(model, _tokenizer(text, options), name=str(checkpoint)), notes=notes)
    check_tokenizer(loaded)
    return loaded


def load_reader(
    checkpoint: str | Path, options: LoadOptions | None = None, *, base: str | Path | None = None
) -> LoadedModel:
    """What `load` gives, but for reading prompts only: its `model` has configurations and no weights."""
    from transformers import AutoConfig, GenerationConfig

    check_checkpoint(checkpoint)
    options = options or LoadOptions()
    text = resolve(checkpoint)
    folder = _adapter(text)
    if folder is not None:
        recorded = base_of_adapter(folder)
        found = load_reader(base if base is not None and _is_gone(recorded) else recorded, options)
        tokenizer = _tokenizer_of_adapter(folder, options) or found.tokenizer
        return without_weights(found.model.config, found.model.generation_config, tokenizer, str(checkpoint))
    try:
        config = AutoConfig.from_pretrained(text, trust_remote_code=options.trust_remote_code)
        try:
            generation = GenerationConfig.from_pretrained(text)
        except OSError:
            generation = GenerationConfig.from_model_config(config)
    except Exception as error:  # noqa: BLE001 - of transformers, on files that others wrote
        raise _cannot_load("model", text, error) from None
    return without_weights(config, generation, _tokenizer(text, options), str(checkpoint))


def _adapter(text: str) -> Path | None:
    """The folder of an adapter, fetched into the hub's cache if need be; None for a whole model."""
    if Path(text).exists():
        return Path(text) if is_adapter(text) else None
    from huggingface_hub import snapshot_download
    from transformers.utils.peft_utils import find_adapter_config_file

    try:
        if find_adapter_config_file(text) is None:
            return None
        folder = snapshot_download(text, allow_patterns=["*.json", "*.jinja", "*.model", adapters.WEIGHTS])
    except (OSError, ValueError) as error:
        raise _cannot_load("adapter", text, error) from None
    check_checkpoint(folder)
    return Path(folder)


def _load_adapter(checkpoint: str, folder: Path, options: LoadOptions, other: str | Path | None) -> LoadedModel:
    """The adapter on its recorded base or, where that cannot be found, on the `other` model."""
    recorded = base_of_adapter(folder)
    try:
        base, notes = load(recorded, options), ()
    except InputError as error:
        if other is not None and is_adapter(other):
            other = base_of_adapter(other)
        if other is None or str(other) == recorded or not _is_gone(recorded):
            raise InputError(f"the base model of the adapter {checkpoint}: {error}") from None
        base = load(other, options)
        notes = (
            f"the adapter {checkpoint} was trained on {recorded}, which cannot be found: it was put on {other}",
        )
    model, unused = adapters.on_base(base.model, folder)
    tokenizer = _tokenizer_of_adapter(folder, options) or base.tokenizer
    loaded = replace(wrap(model, tokenizer, name=checkpoint), notes=(*base.notes, *notes, *unused))
    check_tokenizer(loaded)
    return loaded


def _is_gone(recorded: str) -> bool:
    """Whether a folder is not there, or a hub id neither here nor reachable."""
    text = resolve(recorded)
    if Path(text).exists():
        return False
    if looks_like_path(text):
        return True
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(text)
    except (OSError, ValueError):
        return True
    return False


def check_tokenizer(loaded: LoadedModel) -> None:
    """Refuse a tokenizer that makes ids which the model has no embedding for.

    A pad token alone may be beyond them: it is never read.
    """
    tokenizer, rows = loaded.tokenizer, loaded.model.get_input_embeddings().weight.shape[0]
    vocabulary = tokenizer.get_vocab()
    if not vocabulary:
        raise InputError(f"the tokenizer of {loaded.name} has no tokens: save it again with save_pretrained()")
    beyond = sorted(
        (one, token) for token, one in vocabulary.items() if one >= rows and one != tokenizer.pad_token_id
    )
    if beyond:
        raise InputError(
            f"the tokenizer of {loaded.name} has {len(vocabulary)} tokens, but the model has embeddings for {rows}"
            f": {len(beyond)} have none, the first is {beyond[0][1]!r} (id {beyond[0][0]}); is it another model's?"
        )


def _model(text: str, options: LoadOptions) -> tuple[Any, tuple[str, ...]]:
    """The model on its device, and notes on weights that it does not use."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
    except RuntimeError as error:
        raise InputError(f"device {device!r} is none: {reason(error)}: write cpu, cuda or cuda:1") from None
    shared: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(text, **shared)
    except Exception as error:  # noqa: BLE001 - of transformers, on files that others wrote
        raise _cannot_load("model", text, error) from None
    method = quantisation(config.to_dict())
    if method is None:
        shared["dtype"] = getattr(torch, options.dtype)
    else:  # cast and moved by their own package only
        check_quantiser(config.to_dict(), text)
        shared |= {"dtype": "auto"} if device == "cpu" else {"dtype": "auto", "device_map": {"": device}}
    try:
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        if method is None and Path(text).is_dir():
            _check_size(text, auto, config, options)
        model: Any
        model, found = auto.from_pretrained(
            text,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported in `found`
            **shared,
        )
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - of transformers, on files that others wrote
        if method is None or isinstance(error, OSError | ValueError | SafetensorError):
            raise _cannot_load("model", text, error) from None
        raise InputError(f"{text} is quantised ({method}) and does not load here: {first_line(error)}") from None
    if method is not None and getattr(model, "hf_quantizer", None) is None:
        raise InputError(
            f"the weights of {text} are quantised ({method}), which the installed transformers does not know"
        )
    _refuse_random_weights(text, found)
    notes = _unused(text, found["unexpected_keys"], type(model).__name__, quantised=method is not None)
    if method is not None:
        notes += (f"the weights of {text} are quantised ({method}) and used as they are, not as {options.dtype}",)
        return model.eval(), notes
    try:
        return model.to(device).eval(), notes
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InputError(f"{text} does not go to device {device!r}: {first_line(error)}") from None


_HARMLESS = re.compile(r"(^|\.)(rotary_emb\.inv_freq|inv_freq|position_ids|attn\.(masked_)?bias|attention\.bias)$")
"""Buffers that older versions of transformers saved, and that are computed today."""


_BESIDE = re.compile(
    r"^(v_head|value_head|score|classifier|reward_head|classification_head|mtp)\b|\.mtp\."
    r"|rotary_emb\.inv_freq$|attn\.(masked_)?bias$|position_ids$"
)
"""What has no part in what a language model generates: heads of other trainings, constants that are computed."""


def _unused(text: str, names: Iterable[str], architecture: str, *, quantised: bool) -> tuple[str, ...]:
    """A note on weights of the checkpoint that are beside the language model.

    Raises
    ------
    InputError
        The architecture has no place for weights that may be what was fine-tuned: layers beyond those that the
        configuration counts, an adapter that was never merged, another architecture's.
    """
    unused = sorted(name for name in names if not _HARMLESS.search(name))
    beside = [name for name in unused if quantised or _BESIDE.search(name)]
    lost = [name for name in unused if name not in beside]
    if lost:
        why = "mend config.json (are all layers counted?), or save the whole model again with save_pretrained()"
        if any("lora_" in name for name in lost):
            why = "this is an adapter that was never merged: save it as an adapter, or after merge_and_unload()"
        raise InputError(f"weights in {text} that {architecture} does not use: {first_of(lost)}: {why}")
    if not beside:
        return ()
    return (f"weights in {text} that {architecture} does not use: {first_of(beside)}",)


def _check_size(text: str, auto: Any, config: Any, options: LoadOptions) -> None:
    """Refuse a configuration of a model many times as large as the weights, which would be filled at random."""
    import torch

    held = numbers_in(tensors_in(Path(text)))
    with torch.device("meta"):
        model = auto.from_config(config, trust_remote_code=options.trust_remote_code)
    wanted = sum(one.numel() for one in (*model.parameters(), *model.buffers()))
    if wanted > 8 * held:
        raise InputError(
            f"the model in {text} does not load: config.json is of a model with {wanted:,} numbers, and the "
            f"weights hold {held:,}: mend its sizes, or save the whole model again with save_pretrained()"
        )


def _refuse_random_weights(text: str, found: dict[str, Any]) -> None:
    """transformers fills weights that are absent or of another shape with random numbers."""
    for key, what in (("missing_keys", "lack"), ("mismatched_keys", "have the wrong shape for")):
        names = sorted(str(name[0] if isinstance(name, tuple) else name) for name in found[key])
        if names:
            raise InputError(f"the weights in {text} {what} {first_of(names)}: save the whole model again")


def _tokenizer(text: str, options: LoadOptions) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(text, trust_remote_code=options.trust_remote_code)
    except Exception as error:  # noqa: BLE001 - of transformers and tokenizers, on files that others wrote
        raise _cannot_load("tokenizer", text, error) from None


def _tokenizer_of_adapter(folder: Path, options: LoadOptions) -> Any:
    return _tokenizer(str(folder), options) if (folder / "tokenizer_config.json").is_file() else None


def _cannot_load(what: str, text: str, error: Exception) -> InputError:
    if isinstance(error, MemoryError) or re.search("alloc|out of memory|start new thread", str(error)):
        return InputError(
            f"memory does not suffice for the {what} {text}: take a smaller dtype or a larger machine"
        )
    if Path(text).exists():
        return InputError(f"the {what} in {text} does not load: {reason(error)}")
    return InputError(f"{what} {text!r} is neither a folder here nor reachable on the hub: {first_line(error)}")


def save(loaded: LoadedModel, folder: Path) -> None:
    """Weights (safetensors; adapters alone for a PEFT model), configuration and tokenizer."""
    from peft import PeftModel

    with atomic_folder(folder) as temporary:
        if isinstance(loaded.model, PeftModel):
            loaded.model.save_pretrained(str(temporary), save_embedding_layers=_is_resized(loaded.model))
        else:
            loaded.model.save_pretrained(temporary)
        loaded.tokenizer.save_pretrained(temporary)


def _is_resized(model: Any) -> bool:
    """Whether an adapter's base has other embeddings than its folder (or the hub's cache) holds."""
    from transformers import AutoConfig

    try:
        saved = AutoConfig.from_pretrained(
            resolve(model.active_peft_config.base_model_name_or_path or ""), local_files_only=True
        )
    except (OSError, ValueError):
        return False
    return model.get_input_embeddings().weight.shape[0] != saved.get_text_config(decoder=True).vocab_size
