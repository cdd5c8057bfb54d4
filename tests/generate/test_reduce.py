import numpy as np
import pytest
import torch
from scipy import stats

from aftertune.generate import reduce
from aftertune.generate.reduce import best_continuations, step_scalars


def random(*shape, scale=3.0, seed=0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[1 << 18, 1])
def chunk(request, monkeypatch):
    """All rows at once, and one at a time."""
    monkeypatch.setattr(reduce, "CHUNK_CPU", request.param)


def test_scalars_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])) + 7.0
    scalars = step_scalars(logits)
    assert scalars.token.tolist() == [0, 0]
    assert scalars.logprob.tolist() == pytest.approx([np.log(0.5), 0.0], abs=1e-6)
    assert scalars.entropy.tolist() == pytest.approx([1.5 * np.log(2), 0.0], abs=1e-6)
    assert scalars.kl is None


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("vocabulary", [3, 64, 300])
def test_scalars_against_scipy(vocabulary):
    logits = random(20, vocabulary)
    log_p = torch.log_softmax(logits.double(), -1)
    scalars = step_scalars(logits)
    assert torch.equal(scalars.token, logits.argmax(-1))
    np.testing.assert_allclose(scalars.logprob, log_p.max(-1).values, atol=1e-6)
    np.testing.assert_allclose(scalars.entropy, stats.entropy(log_p.exp().numpy(), axis=1), atol=1e-5)
    forced = step_scalars(logits, forced=2)
    np.testing.assert_allclose(forced.logprob, log_p[:, 2], atol=1e-5)
    assert set(forced.token.tolist()) == {2}


def test_entropy_of_a_peaked_distribution_keeps_its_digits():
    logits = torch.tensor([[14.0, 2.0, 0.0]])
    p = torch.softmax(logits.double(), -1).numpy()
    assert step_scalars(logits).entropy.item() == pytest.approx(stats.entropy(p[0]), rel=1e-2)


def test_kl_by_hand():
    # Two samples (1, 0) and (0, 1): the mean is (1/2, 1/2), each KL is log 2. A lone sample has none.
    logits = torch.log(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]]))
    kl = step_scalars(logits, group=torch.tensor([7, 7, 9])).kl
    assert kl is not None
    assert kl[:2].tolist() == pytest.approx([np.log(2)] * 2)
    assert torch.isnan(kl[2])


@pytest.mark.usefixtures("chunk")
def test_kl_against_scipy_with_interleaved_groups():
    logits = random(8, 50, seed=1)
    group = torch.tensor([2, 0, 2, 0, 5, 2, 5, 9])
    p = torch.softmax(logits.double(), -1).numpy()
    expected = [stats.entropy(p[r], p[(group == group[r]).numpy()].mean(0)) for r in range(7)]
    scalars = step_scalars(logits, group=group)
    np.testing.assert_allclose(scalars.kl[:7], expected, atol=1e-5)
    np.testing.assert_allclose(scalars.entropy, stats.entropy(p, axis=1), atol=1e-5)
    assert torch.isnan(scalars.kl[7])


def test_tokens_that_are_impossible_contribute_nothing():
    logits = torch.tensor([[0.0, 1.0, -torch.inf], [2.0, 0.0, -torch.inf]])
    scalars = step_scalars(logits, group=torch.tensor([0, 0]))
    p = torch.softmax(logits.double(), -1).numpy()
    np.testing.assert_allclose(scalars.entropy, stats.entropy(p, axis=1), atol=1e-6)
    np.testing.assert_allclose(scalars.kl, [stats.entropy(row, p.mean(0)) for row in p], atol=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_show(bad):
    logits = random(2, 70)
    logits[1, 3] = bad
    scalars = step_scalars(logits)
    assert torch.isfinite(scalars.logprob).tolist() == [True, False]


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(("vocabulary", "count"), [(5, 8), (64, 20), (200, 20), (1000, 6)])
def test_best_continuations_equal_a_search_of_everything(vocabulary, count):
    n, k = 3, 4
    logits, rank = random(n, k, vocabulary, seed=2), -random(n, k, seed=3).abs()
    log_p = torch.log_softmax(logits.double(), -1)
    total = (log_p + rank[..., None].double()).flatten(1)
    expected, flat = total.topk(count, dim=1)
    found = best_continuations(logits, rank, count)
    np.testing.assert_allclose(found.rank, expected, atol=1e-5)
    assert torch.equal(found.path * vocabulary + found.token, flat)
    np.testing.assert_allclose(found.logprob, log_p.flatten(1).gather(1, flat), atol=1e-5)


def test_best_continuations_among_equals_are_as_many_and_as_good():
    logits = torch.zeros(1, 2, 130)
    found = best_continuations(logits, torch.tensor([[0.0, 0.0]]), 20)
    assert len({(p, t) for p, t in zip(found.path[0].tolist(), found.token[0].tolist())}) == 20
    np.testing.assert_allclose(found.rank, -np.log(130), atol=1e-6)
