import numpy as np
import pytest
import torch
from scipy import stats

from aftertune.generate.reduce import entropy, kl_from_group_mean


def test_entropy_by_hand():
    log_p = torch.log(torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    assert entropy(log_p).tolist() == pytest.approx([1.5 * np.log(2), 0.0], abs=1e-7)


def test_entropy_against_scipy():
    log_p = torch.log_softmax(4 * torch.randn(20, 300, generator=torch.Generator().manual_seed(0)), -1)
    expected = stats.entropy(log_p.double().exp().numpy(), axis=1)
    np.testing.assert_allclose(entropy(log_p).numpy(), expected, atol=1e-5)


def test_kl_by_hand():
    # Two samples (1, 0) and (0, 1): the mean is (1/2, 1/2), each KL is log 2. A lone sample has none.
    log_p = torch.log(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]]))
    divergence = kl_from_group_mean(log_p, torch.tensor([7, 7, 9]))
    assert divergence[:2].tolist() == pytest.approx([np.log(2)] * 2)
    assert torch.isnan(divergence[2])


def test_kl_against_scipy_with_interleaved_groups():
    log_p = torch.log_softmax(3 * torch.randn(7, 50, generator=torch.Generator().manual_seed(1)), -1)
    group = torch.tensor([2, 0, 2, 0, 5, 2, 5])
    p = log_p.double().exp().numpy()
    expected = [stats.entropy(p[r], p[(group == group[r]).numpy()].mean(0)) for r in range(7)]
    np.testing.assert_allclose(kl_from_group_mean(log_p, group).numpy(), expected, atol=1e-5)


def test_tokens_that_are_impossible_contribute_nothing():
    logits = torch.tensor([[0.0, 1.0, -torch.inf], [2.0, 0.0, -torch.inf]])
    log_p = torch.log_softmax(logits, -1)
    assert torch.isfinite(entropy(log_p)).all()
    assert torch.isfinite(kl_from_group_mean(log_p, torch.tensor([0, 0]))).all()
