"""Load a checkpoint: a folder, a hub id, an adapter folder, or one of the embedded tiny models."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aftertune.errors import InputError
from aftertune.models import embedded
from aftertune.models.loaded import LoadedModel, wrap

DTYPES = ("float32", "bfloat16", "float16")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
ADAPTER = "adapter_config.json"


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


def resolve(checkpoint: str | Path) -> str:
    """The whole path or the hub id that a name stands for; embedded models become their folder."""
    text = str(checkpoint)
    if text.startswith(embedded.PREFIX):
        return str(embedded.path(text))
    folder = Path(text).expanduser()
    return str(folder.absolute()) if folder.is_dir() else text


def looks_like_path(text: str) -> bool:
    """True for what can only be a folder: a hub id is `name` or `owner/name`, nothing else."""
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or text.endswith("/") or "\\" in text


def check_checkpoint(checkpoint: str | Path) -> None:
    """Refuse, before anything heavy is imported, a folder that cannot be a checkpoint."""
    text = resolve(checkpoint)
    folder = Path(text).expanduser()
    if not folder.exists():
        if looks_like_path(text):
            raise InputError(f"model folder {text} does not exist")
        return
    if folder.is_file():
        raise InputError(f"{text} is a file: give the folder that holds config.json and model.safetensors")
    names = {entry.name for entry in folder.iterdir()}
    if ADAPTER in names:
        if "adapter_model.safetensors" not in names:
            raise InputError(f"adapter folder {text} has no adapter_model.safetensors")
        return
    if "config.json" not in names:
        raise InputError(f"model folder {text} has no config.json (nor an {ADAPTER})")
    if not names.intersection(WEIGHTS):
        hint = ""
        if any(name.endswith((".bin", ".pt", ".pth")) for name in names):
            hint = "; pickled weights are not read: save again with save_pretrained()"
        raise InputError(f"model folder {text} has no weights (model.safetensors){hint}")
    if not names.intersection({"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model"}):
        raise InputError(f"model folder {text} has no tokenizer: save it there with tokenizer.save_pretrained()")


def is_adapter(checkpoint: str | Path) -> bool:
    return (Path(resolve(checkpoint)).expanduser() / ADAPTER).is_file()


def base_of_adapter(folder: str | Path) -> str:
    """Path or hub id of the model that an adapter was trained on."""
    file = Path(resolve(folder)).expanduser() / ADAPTER
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=file, line=error.lineno) from None
    if not base:
        raise InputError("has no base_model_name_or_path: write there which model it adapts", file=file)
    return base


def load(checkpoint: str | Path, options: LoadOptions | None = None) -> LoadedModel:
    """Load model and tokenizer in evaluation mode.

    Raises
    ------
    InputError
        The folder lacks weights or a tokenizer, or the hub id cannot be reached; one line.
    """
    check_checkpoint(checkpoint)
    options = options or LoadOptions()
    if is_adapter(checkpoint):
        return _load_adapter(checkpoint, options)
    text = resolve(checkpoint)
    model = _model(text, options)
    return wrap(model, _tokenizer(text, options), name=str(checkpoint))


def load_tokenizer(checkpoint: str | Path, options: LoadOptions | None = None) -> Any:
    """The tokenizer that `load` gives, without the weights."""
    check_checkpoint(checkpoint)
    text, options = resolve(checkpoint), options or LoadOptions()
    if is_adapter(checkpoint) and not (Path(text).expanduser() / "tokenizer_config.json").is_file():
        return load_tokenizer(base_of_adapter(text), options)
    return _tokenizer(text, options)


def _load_adapter(checkpoint: str | Path, options: LoadOptions) -> LoadedModel:
    from peft import PeftModel
    from safetensors import SafetensorError

    folder = str(Path(resolve(checkpoint)).expanduser())
    base = load(base_of_adapter(folder), options)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Found missing adapter keys", category=UserWarning)
            model = PeftModel.from_pretrained(base.model, folder)
    except (OSError, ValueError, RuntimeError, UserWarning, SafetensorError) as error:
        raise InputError(f"the adapter in {folder} does not fit its base model: {_first_line(error)}") from None
    has_tokenizer = (Path(folder) / "tokenizer_config.json").is_file()
    tokenizer = _tokenizer(folder, options) if has_tokenizer else base.tokenizer
    return replace(wrap(model.eval(), tokenizer), name=str(checkpoint))


def _model(text: str, options: LoadOptions) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    shared = {"trust_remote_code": options.trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(text, **shared)
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model: Any
        model, found = auto.from_pretrained(
            text,
            config=config,
            dtype=getattr(torch, options.dtype),
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported in `found`
            **shared,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise _cannot_load("model", text, error) from None
    _refuse_random_weights(text, found)
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InputError(f"{text} does not go to device {device!r}: {_first_line(error)}") from None


def _refuse_random_weights(text: str, found: dict[str, Any]) -> None:
    """transformers fills weights that are absent or of another shape with random numbers."""
    for key, what in (("missing_keys", "lack"), ("mismatched_keys", "have the wrong shape for")):
        names = sorted(str(name[0] if isinstance(name, tuple) else name) for name in found[key])
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(f"the weights in {text} {what} {names[0]}{more}: save the whole model again")


def _tokenizer(text: str, options: LoadOptions) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(text, trust_remote_code=options.trust_remote_code)
    except (OSError, ValueError) as error:
        raise _cannot_load("tokenizer", text, error) from None


def _cannot_load(what: str, text: str, error: Exception) -> InputError:
    if Path(text).expanduser().exists():
        return InputError(f"the {what} in {text} does not load: {_first_line(error)}")
    return InputError(f"{what} {text!r} is neither a folder here nor reachable on the hub: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
