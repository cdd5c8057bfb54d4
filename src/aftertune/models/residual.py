"""The places where a model's blocks write into its residual stream, found by what the modules do.

A layer adds the outputs of its attention and feed-forward blocks to the stream. Architectures name those blocks in
dozens of ways; some add inside a module (T5, BERT, BLOOM), some write from the last of several projections (BART,
OPT). So places are not looked up by name. In forward passes of a few tokens, modules of the layers are silenced
(their output is zero) or disturbed (a pattern is added to it), and what comes out says which is which:

- a silenced module *contains* the stream if the output no longer depends on the tokens; its children are looked at
  instead;
- a module that is disturbed while all others are silent *writes* into the stream if the output changes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from aftertune.errors import InputError
from aftertune.models.dropout import evaluating

PATTERN = 10.0
"""Size of a disturbance: far above rounding after any normalisation, far below overflow in half precision."""
LEAST = 1e-3
"""A change of the output counts from this share of its largest number."""
N_TOKENS = 5

_known: WeakKeyDictionary[Any, tuple[str, ...]] = WeakKeyDictionary()


def residual_blocks(model: Any) -> list[Any]:
    """Modules whose outputs are what is added to the residual stream: one for each block of each layer.

    Parameters
    ----------
    model : a transformers model without a wrapper around it; adapters may sit in its modules.

    Raises
    ------
    InputError
        They cannot be told apart: the model's layers are built in a way that hooks cannot reach.
    """
    if model not in _known:
        with torch.no_grad(), evaluating(model):
            _known[model] = tuple(_find(model))
    return [model.get_submodule(path) for path in _known[model]]


def on_output(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A module's output with its hidden states (the first or only tensor) changed."""
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return type(output)([change(output[0]), *output[1:]])
    raise InputError(f"a block returns {type(output).__name__} instead of hidden states")


def _find(model: Any) -> list[str]:
    try:
        probe = _Probe(model)
        kinds = probe.without_stream(_blocks_of_layers(model))
        writers = [kind for kind in kinds if probe.writes(kind, [k for k in kinds if k != kind])]
        probe.check(writers)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError, InputError) as error:
        raise InputError(
            f"the blocks that write into its residual stream could not be told apart ({error})"
        ) from None
    found = {path for kind in writers for path in probe.paths[kind]}
    return [path for path, _ in model.named_modules() if path in found]


Kind = str
"""Path of a module with * for numbers: the same module of every layer."""


def _kind(path: str) -> Kind:
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path)


def _blocks_of_layers(model: nn.Module) -> dict[Kind, list[str]]:
    """Modules with weight matrices that are children of the elements of the outermost lists of modules."""
    layers: list[str] = []
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and not any(path.startswith(f"{layer}.") for layer in layers):
            layers += [f"{path}.{i}" for i, element in enumerate(module) if _has_matrix(element)]
    return _grouped(child for layer in layers for child in _children(model, layer))


def _children(model: nn.Module, path: str) -> Iterator[str]:
    """Children that have weight matrices; the elements of a list of modules instead of the list."""
    for name, child in model.get_submodule(path).named_children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from _children(model, f"{path}.{name}")
        elif _has_matrix(child):
            yield f"{path}.{name}"


def _grouped(paths: Iterator[str]) -> dict[Kind, list[str]]:
    kinds: dict[Kind, list[str]] = defaultdict(list)
    for path in paths:
        kinds[_kind(path)].append(path)
    return dict(kinds)


def _has_matrix(module: nn.Module) -> bool:
    return any(_is_matrix(weight) for weight in module.parameters())


def _is_matrix(weight: Tensor) -> bool:
    return weight.dim() >= 2 and weight.numel() > max(weight.shape)


class _Probe:
    """Forward passes of a few tokens with some modules silenced and others disturbed."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.paths: dict[Kind, list[str]] = {}
        vocabulary = model.get_input_embeddings().weight.shape[0]
        first = [token % vocabulary for token in range(3, 3 + N_TOKENS)]
        second = [(token + N_TOKENS) % vocabulary for token in first]
        self._tokens = [torch.tensor([ids], device=model.device) for ids in (first, second)]

    def without_stream(self, kinds: dict[Kind, list[str]]) -> list[Kind]:
        """The kinds that are called, where those that contain the stream are replaced by their children."""
        self.paths = dict(kinds)
        self._called()
        done: set[Kind] = set()
        while left := [kind for kind in self.paths if kind not in done]:
            kind = left[0]
            if self._contains_stream(kind):
                children = _grouped(child for path in self.paths.pop(kind) for child in self._inside(path))
                self.paths |= children
                self._called()
            else:
                done.add(kind)
        return list(self.paths)

    def writes(self, kind: Kind, others: Sequence[Kind]) -> bool:
        """Whether a disturbance reaches the output with the others silent."""
        silent = self._output(0, silent=others)
        return any(_differ(a, b) for a, b in zip(silent, self._output(0, silent=others, disturbed=[kind])))

    def check(self, writers: Sequence[Kind]) -> None:
        """Refuse writers without which no token reaches the output, or beside which other modules write."""
        if not writers:
            raise InputError("no block found")
        silent = self._output(0, silent=writers)
        if not all(_differ(a, b) for a, b in zip(silent, self._output(1, silent=writers))):
            raise InputError("without them nothing is left")
        others = [kind for kind in self.paths if kind not in writers]
        if any(_differ(a, b) for a, b in zip(silent, self._output(0, silent=writers, disturbed=others))):
            raise InputError("some are missing")

    def _inside(self, path: str) -> list[str]:
        module = self._model.get_submodule(path)
        if any(_is_matrix(weight) for weight in module.parameters(recurse=False)):
            raise InputError(f"{path} adds to the stream by itself")
        return list(_children(self._model, path))

    def _contains_stream(self, kind: Kind) -> bool:
        """Whether, without it, tokens no longer reach the output."""
        pairs = zip(self._output(0, silent=[kind]), self._output(1, silent=[kind]))
        return not all(_differ(a, b) for a, b in pairs)

    def _called(self) -> None:
        """Leave out the modules that a forward pass does not call."""
        seen: set[str] = set()

        def see(path: str) -> Callable[..., None]:
            return lambda module, args, output: seen.add(path)

        with ExitStack() as stack:
            for path in (path for paths in self.paths.values() for path in paths):
                stack.callback(self._model.get_submodule(path).register_forward_hook(see(path)).remove)
            self._run(0)
        self.paths = {
            kind: called
            for kind, paths in self.paths.items()
            if (called := [path for path in paths if path in seen])
        }

    def _output(
        self, which: int, *, silent: Collection[Kind] = (), disturbed: Collection[Kind] = ()
    ) -> list[Tensor]:
        with ExitStack() as stack:
            for kinds, change in ((silent, torch.zeros_like), (disturbed, _disturbed)):
                for path in (path for kind in kinds for path in self.paths[kind]):
                    module = self._model.get_submodule(path)
                    hook = module.register_forward_hook(lambda m, args, output, f=change: on_output(output, f))
                    stack.callback(hook.remove)
            return self._run(which)

    def _run(self, which: int) -> list[Tensor]:
        """Logits, and the encoder's last hidden states where there is an encoder."""
        tokens = self._tokens[which]
        if not self._model.config.is_encoder_decoder:
            return [self._model(input_ids=tokens, use_cache=False).logits]
        output = self._model(input_ids=tokens, decoder_input_ids=tokens, use_cache=False)
        return [output.logits, output.encoder_last_hidden_state]


def _disturbed(x: Tensor) -> Tensor:
    return x + PATTERN * torch.cos(torch.arange(x.shape[-1], device=x.device)).to(x.dtype)


def _differ(a: Tensor, b: Tensor) -> bool:
    return bool((a.float() - b.float()).abs().max() > LEAST * b.float().abs().max())
