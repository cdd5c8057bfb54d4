"""Read prompts: which decoders a model can have, and how one is opened."""

from __future__ import annotations

from typing import Literal

from aftertune.generate import rows, sharing
from aftertune.generate.decoder import Decoder
from aftertune.generate.masks import RowMasks
from aftertune.models.adapters import virtual_tokens
from aftertune.models.loaded import Kind, LoadedModel, TokenIds

Way = Literal["shared", "rows", "anew", "states", "whole"]
"""How a model is read. Decoding, and scoring of given outputs token by token:

"shared" : the paths of an item share their beginnings in the cache.
"rows"   : each path has a row, with the model's own cache.
"anew"   : each path has a row, which is read anew at every step.

Scoring in one pass:

"states" : for hidden states; then the head.
"whole"  : for logits.
"""

DECODERS: dict[Kind, dict[Way, type]] = {
    "causal": {"shared": sharing.CausalDecoder, "rows": rows.CausalDecoder, "anew": rows.CausalReader},
    "seq2seq": {"shared": sharing.Seq2SeqDecoder, "rows": rows.Seq2SeqDecoder, "anew": rows.Seq2SeqReader},
}


def prefill(
    loaded: LoadedModel,
    ids: TokenIds,
    way: Way = "rows",
    *,
    paths: int = 1,
    masks: RowMasks | None = None,
) -> Decoder:
    """A decoder that has read the prompts: with the encoder, or left-padded with the decoder.

    Parameters
    ----------
    way : how paths are kept; `trial` finds what is right for a model.
    paths : how many paths per item are expected (room in the cache).
    masks : dropout masks of each item; None leaves dropout, where it is on, to torch.
    """
    return decoders(loaded)[way](loaded, ids, paths, masks)


def decoders(loaded: LoadedModel) -> dict[Way, type]:
    """The ways in which this model can be decoded at all."""
    if virtual_tokens(loaded.model):
        return {"rows": rows.VirtualCausalDecoder if loaded.kind == "causal" else rows.VirtualSeq2SeqDecoder}
    return DECODERS[loaded.kind]
