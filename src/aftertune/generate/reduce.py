"""From a step's logits to scalars per row. Nothing of shape (rows, vocabulary) outlives the step.

Shapes: R rows, V vocabulary. All in float32, natural logarithms, nats.
"""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(log_p: Tensor) -> Tensor:
    """H(p) = −sum_v p_v log p_v of each row; (R, V) → (R,). Tokens of probability 0 contribute 0."""
    return torch.special.entr(log_p.exp()).sum(-1)


def kl_from_group_mean(log_p: Tensor, group: Tensor) -> Tensor:
    """KL(p_r ‖ mean of the rows of its group) of each row; NaN where the group has one row.

    Parameters
    ----------
    log_p : (R, V) log-probabilities.
    group : (R,) integer label of the item that each row is a sample of.

    Returns
    -------
    (R,) in nats, within [0, log(rows of the group)].
    """
    labels, member, size = torch.unique(group, return_inverse=True, return_counts=True)
    p = log_p.exp()
    mean = torch.zeros((len(labels), p.shape[-1]), dtype=p.dtype, device=p.device)
    mean.index_add_(0, member, p)
    mean /= size[:, None]
    cross = torch.xlogy(p, mean[member]).sum(-1)  # sum_v p_v log m_v
    divergence = (-entropy(log_p) - cross).clamp(min=0.0)
    return torch.where(size[member] > 1, divergence, torch.nan)
