"""Which columns of the cache each path of an item sees.

The beams of an item share its prompt and most of their beginnings. They are kept as a tree: a step appends one
column (node) per path to the item's columns, and a path sees the prompt, its ancestors and itself. So a shared
beginning is stored and attended once, and re-ordering beams moves no keys and values. This is the tree attention
of speculative decoding (Miao et al. 2024, SpecInfer, section 4.2), used for beams.

Shapes: n items, G paths, P columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True, kw_only=True)
class Paths:
    """Bookkeeping of the tree.

    Attributes
    ----------
    visible : (n, G, P) bool: columns that each path sees.
    depth : (n, P) position of each column's token.
    prompt : number of prompt columns; every path sees the same of them.
    is_line : whether each item has had one path so far, which then sees all generated columns.
    """

    visible: Tensor
    depth: Tensor
    prompt: int
    is_line: bool = True

    @classmethod
    def after_prompt(cls, mask: Tensor, depth: Tensor) -> Paths:
        """One path per item. mask, depth: (n, P) real tokens of the prompts and their positions."""
        return cls(visible=mask.bool()[:, None], depth=depth, prompt=mask.shape[1])

    def grow(self, parents: Tensor, depth: Tensor) -> None:
        """Append a node per new path: parents (n, G') index the present paths, depth (n, 1) is the nodes'."""
        n, width = parents.shape
        self.is_line &= width == 1
        inherited = self.visible.gather(1, parents[..., None].expand(-1, -1, self.visible.shape[-1]))
        own = torch.eye(width, dtype=torch.bool, device=parents.device).expand(n, -1, -1)
        self.visible = torch.cat([inherited, own], dim=2)
        self.depth = torch.cat([self.depth, depth.expand(-1, width)], dim=1)

    def keep(self, order: Tensor) -> None:
        self.visible, self.depth = self.visible[order], self.depth[order]

    def live_columns(self) -> Tensor:
        """(n, P') the generated columns that some path still sees, counted from the prompt's end.

        P' is the largest number of them; items with fewer get dead columns besides, which stay invisible.
        """
        live = self.visible[:, :, self.prompt :].any(1)
        order = live.byte().argsort(dim=1, descending=True, stable=True)
        return order[:, : int(live.sum(1).max())]

    def compact(self, columns: Tensor) -> None:
        """Keep the given generated columns, as `GrowingLayer.compact` does."""
        index = columns + self.prompt
        wide = index[:, None].expand(-1, self.visible.shape[1], -1)
        self.visible = torch.cat([self.visible[..., : self.prompt], self.visible.gather(2, wide)], dim=2)
        self.depth = torch.cat([self.depth[:, : self.prompt], self.depth.gather(1, index)], dim=1)
