"""Dropout masks of items: probability, independence, and that neighbours and padding change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import aftertune
from aftertune.generate.masks import PROMPT, RowMasks
from tiny import prompts, tiny


def rows(n, seed=0):
    return RowMasks(torch.randint(0, 2**62, (n,), generator=torch.Generator().manual_seed(seed)))


def dropped(masks, shape, p, step=0, **where):
    with masks.during(step, **where):
        return F.dropout(torch.ones(shape), p=p, training=True)


@pytest.mark.parametrize("shape", [(8, 1, 4000), (4, 50, 200), (4, 2, 30, 200)])
@pytest.mark.parametrize("p", [0.05, 0.3])
def test_share_dropped_is_p_and_the_mean_stays_one(shape, p):
    out = dropped(rows(shape[0]), shape, p)
    n = out.numel()
    assert float((out == 0).float().mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / n) ** 0.5)
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])


def test_masks_look_independent():
    """Rows, features, steps and places are uncorrelated: every correlation is within 5 standard errors of 0."""
    masks = rows(40)
    with masks.during(0):
        first, second = (F.dropout(torch.ones(40, 1, 2000), p=0.5, training=True)[:, 0] for _ in range(2))
    later = dropped(masks, (40, 1, 2000), 0.5, step=1)[:, 0]
    bound = 5 / 2000**0.5
    between = np.corrcoef(np.concatenate([first, second, later]))
    assert np.abs(between - np.eye(120)).max() < bound
    features = np.corrcoef(dropped(rows(2000, seed=1), (2000, 1, 60), 0.5)[:, 0].T)
    assert np.abs(features - np.eye(60)).max() < bound
    assert abs(np.corrcoef(first[:, 1:].flatten(), first[:, :-1].flatten())[0, 1]) < 5 / (40 * 1999) ** 0.5


def test_masks_follow_their_rows_and_ignore_padding_on_the_left():
    masks, p = rows(3), 0.4
    whole = dropped(masks, (3, 6, 50), p, PROMPT, width=6, offset=torch.tensor([0, 2, 1]))
    masks.keep(torch.tensor([1]))
    alone = dropped(masks, (1, 4, 50), p, PROMPT, width=4, offset=torch.tensor([0]))
    assert torch.equal(whole[1, 2:], alone[0])
    wide = dropped(masks, (1, 2, 5, 7), p, PROMPT, width=5, offset=torch.tensor([1]))
    narrow = dropped(masks, (1, 2, 4, 6), p, PROMPT, width=4, offset=torch.tensor([0]))
    assert torch.equal(wide[..., 1:, 1:], narrow)


def test_attention_without_a_mask_equals_torch():
    query, key, value = (torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    with rows(2).during(0):
        ours = F.scaled_dot_product_attention(query, key, value, dropout_p=1e-9, is_causal=True)
        boolean = torch.ones(2, 1, 5, 5, dtype=torch.bool).tril()
        masked = F.scaled_dot_product_attention(query, key, value, boolean, dropout_p=1e-9)
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(masked, expected, atol=1e-6)


def test_the_expectation_of_attention_with_dropout_is_attention():
    one = [torch.randn(1, 1, 3, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    query, key, value = (x.expand(4000, -1, -1, -1) for x in one)
    with rows(4000).during(0):
        ours = F.scaled_dot_product_attention(query, key, value, dropout_p=0.3)
    expected = F.scaled_dot_product_attention(query[:1], key[:1], value[:1])
    error = ours.std(0) / 4000**0.5
    assert (abs(ours.mean(0) - expected[0]) < 5 * error + 1e-6).all()


def test_other_threads_and_later_calls_keep_torchs_dropout():
    from threading import Thread

    dropout, attention = F.dropout, F.scaled_dot_product_attention
    seen = []
    with rows(2).during(0):
        ours = F.dropout(torch.ones(2, 1, 50), p=0.5, training=True)

        def other():
            torch.manual_seed(0)
            seen.append(F.dropout(torch.ones(2, 1, 50), p=0.5, training=True))

        thread = Thread(target=other)
        with torch.random.fork_rng():
            thread.start()
            thread.join()
    assert F.dropout is dropout
    assert F.scaled_dot_product_attention is attention
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = F.dropout(torch.ones(2, 1, 50), p=0.5, training=True)
    assert torch.equal(seen[0], expected)
    assert not torch.equal(ours, expected)


def test_flattened_activations_have_the_masks_of_their_rows():
    a, b = rows(3), rows(3)
    flat = dropped(a, (6, 40), 0.5, PROMPT, width=2)
    assert torch.equal(flat.view(3, 2, 40), dropped(b, (3, 2, 40), 0.5, PROMPT, width=2))


def test_attention_maps_of_any_shape_have_the_masks_of_their_rows():
    """(R·H, Q, S) as (R, H, Q, S); more axes than that; and a padded batch as each row alone."""
    maps = torch.softmax(torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0)), -1)
    with rows(3).during(PROMPT, width=5):
        whole = F.dropout(maps, p=0.5, training=True)
    with rows(3).during(PROMPT, width=5):
        flat = F.dropout(maps.view(12, 5, 6), p=0.5, training=True)
    assert torch.equal(flat.view_as(whole), whole)
    split = dropped(rows(3), (3, 2, 4, 5, 6), 0.5, PROMPT, width=5)
    alone = dropped(rows(3).of([1]), (1, 2, 4, 5, 6), 0.5, PROMPT, width=5)
    assert torch.equal(split[1:2], alone)
    assert not torch.equal(split[:, 0], split[:, 1])


def test_activations_with_the_sequence_first_have_the_masks_of_their_rows():
    seeds = torch.tensor([5, 6, 7])
    with RowMasks(seeds, sequence_first=True).during(PROMPT, width=3):
        first = F.dropout(torch.ones(3, 3, 40), p=0.5, training=True)
    with RowMasks(seeds).during(PROMPT, width=3):
        rows_first = F.dropout(torch.ones(3, 3, 40), p=0.5, training=True)
    assert torch.equal(first.transpose(0, 1), rows_first)


def test_dropout_of_attention_acts_whatever_the_model_asks_for():
    query, key, value = (torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    seeds = torch.tensor([5, 6])
    with RowMasks(seeds, attention=0.4).during(0):
        positional = F.scaled_dot_product_attention(query, key, value, None, 0.0, True)
        activation = F.dropout(torch.ones(2, 1, 40), p=0.5, training=False)
        attention = F.dropout(torch.full((2, 3, 4, 5), 0.2), 0.9, False)
    with RowMasks(seeds).during(0):
        named = F.scaled_dot_product_attention(query, key, value, dropout_p=0.4, is_causal=True)
    assert torch.equal(positional, named)
    assert bool((activation == 1.0).all())
    assert attention.unique().tolist() == pytest.approx([0.0, 0.2 / 0.6])


@pytest.mark.parametrize(
    ("architecture", "dropout"),
    [
        ("llama", "residual:0.2"),
        ("llama", "attention:0.2"),
        ("gemma2", "residual:0.2"),
        ("gemma2", "attention:0.2"),
        ("t5", "native"),
        ("bart", "native"),
        ("t5", "residual:0.2"),
        ("bart", "attention:0.2"),
    ],
)
def test_dropout_samples_do_not_depend_on_batch_size_order_or_padding(architecture, dropout):
    model, tokenizer = tiny(architecture)
    texts = prompts(9)
    settings = {"beams": 0, "max_new_tokens": 10, "dropout": dropout, "embedding": False}
    whole = aftertune.collect(model, tokenizer, texts, batch_size=9, **settings).dropout
    single = aftertune.collect(model, tokenizer, texts, batch_size=1, **settings).dropout
    some = aftertune.collect(model, tokenizer, texts, batch_size=4, **settings).dropout
    for other in (single, some):
        assert other.text.tolist() == whole.text.tolist()
        np.testing.assert_allclose(other.token_logprob, whole.token_logprob, atol=1e-4)
        np.testing.assert_allclose(other.token_kl, whole.token_kl, atol=1e-4)
    assert (whole.token_kl[:, :, 0] > 0).all(), "the samples differ"
