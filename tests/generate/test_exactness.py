"""Decoding equals ``generate``; scalars equal those recomputed from full logits. All four architectures."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import aftertune
from aftertune.errors import InputError
from aftertune.generate.collect import CollectOptions, collect_batch, collect_batches
from aftertune.generate.prefill import prefill
from aftertune.generate.prompts import PromptOptions, encode
from aftertune.generate.reduce import step_scalars
from aftertune.generate.search import greedy_decode
from aftertune.models.dropout import DropoutSetting, dropout_on
from aftertune.models.loaded import wrap
from tiny import ARCHITECTURES, BOS, EOS, PAD, SEED, beam_search, prompts, tiny

N, K, LIMIT = 12, 4, 14
DROPOUT = {"llama": "residual:0.2", "gemma2": "residual:0.2", "t5": "native", "bart": "native"}

every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def encoded(architecture, n=N, limit=LIMIT):
    loaded = wrap(*tiny(architecture))
    return loaded, encode(loaded, prompts(n), PromptOptions(), limit).ids


def generate(loaded, ids, **settings):
    """The library's own decode, one call for all prompts: generated ids, one row per returned sequence."""
    width = max(map(len, ids))
    left = loaded.kind == "causal"
    rows = [[PAD] * (width - len(x)) + list(x) if left else list(x) + [PAD] * (width - len(x)) for x in ids]
    mask = [[0] * (width - len(x)) + [1] * len(x) if left else [1] * len(x) + [0] * (width - len(x)) for x in ids]
    output = loaded.model.generate(
        input_ids=torch.tensor(rows),
        attention_mask=torch.tensor(mask),
        max_new_tokens=LIMIT,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
        **settings,
    )
    return output, output.sequences[:, width if left else 1 :]


def up_to_eos(row, eos=(EOS,)):
    """Ids up to and including the first end of sequence."""
    row = row.tolist()
    ends = [i for i, token in enumerate(row) if token in eos]
    return row[: ends[0] + 1] if ends else row


def forced_logits(loaded, ids, output_ids):
    """(T, V) raw logits of one prompt's output by teacher forcing, without any cache."""
    with torch.no_grad():
        if loaded.kind == "causal":
            whole = torch.tensor([[*ids, *output_ids]])
            logits = loaded.model(input_ids=whole, use_cache=False).logits[0]
            return logits[len(ids) - 1 : -1]
        start = torch.tensor([[loaded.rules.start_id, *output_ids[:-1]]])
        return loaded.model(input_ids=torch.tensor([ids]), decoder_input_ids=start, use_cache=False).logits[0]


@every_architecture
def test_greedy_tokens_equal_generate(architecture):
    loaded, ids = encoded(architecture)
    _, expected = generate(loaded, ids, num_beams=1)
    with torch.no_grad():
        decoded = greedy_decode(prefill(loaded, ids, "shared"), loaded.rules, LIMIT)
    ours = [row[:n].tolist() for row, n in zip(decoded.tokens, decoded.n_tokens)]
    assert ours == [up_to_eos(row)[:LIMIT] for row in expected]
    assert len({len(row) for row in ours}) > 2, "outputs of different lengths, or the test shows little"


@every_architecture
def test_logprobs_and_entropies_equal_full_logits(architecture):
    loaded, ids = encoded(architecture)
    with torch.no_grad():
        decoded = greedy_decode(prefill(loaded, ids, "shared"), loaded.rules, LIMIT)
    for row, prompt in enumerate(ids):
        tokens = decoded.tokens[row, : decoded.n_tokens[row]].tolist()
        log_p = torch.log_softmax(forced_logits(loaded, prompt, tokens).double(), -1).numpy()
        at = np.arange(len(tokens))
        np.testing.assert_allclose(decoded.logprob[row, : len(tokens)], log_p[at, tokens], atol=1e-5)
        expected = stats.entropy(np.exp(log_p), axis=1)
        np.testing.assert_allclose(decoded.entropy[row, : len(tokens)], expected, atol=1e-5)
        assert torch.isnan(decoded.logprob[row, len(tokens) :]).all()


@every_architecture
def test_beams_equal_generate(architecture):
    loaded, ids = encoded(architecture)
    output, expected = generate(
        loaded, ids, num_beams=K, num_return_sequences=K, early_stopping=False, length_penalty=1.0
    )
    with torch.no_grad():
        result = beam_search(prefill(loaded, ids, "shared"), loaded.rules, K, LIMIT)
    for row in range(N):
        for k in range(K):
            ours = result.tokens[row, k, : result.n_tokens[row, k]].tolist()
            assert ours == up_to_eos(expected[row * K + k])[:LIMIT]
    if architecture != "bart":  # BART's forced tokens count 0 in the library's scores, not in ours
        ours = result.logprob / result.n_tokens
        np.testing.assert_allclose(ours.flatten(), output.sequences_scores, atol=1e-5)


@every_architecture
def test_beam_sums_equal_full_logits(architecture):
    loaded, ids = encoded(architecture, n=4)
    with torch.no_grad():
        result = beam_search(prefill(loaded, ids, "shared"), loaded.rules, K, LIMIT)
    for row, prompt in enumerate(ids):
        for k in range(K):
            tokens = result.tokens[row, k, : result.n_tokens[row, k]].tolist()
            log_p = torch.log_softmax(forced_logits(loaded, prompt, tokens).double(), -1).numpy()
            expected = log_p[np.arange(len(tokens)), tokens].sum()
            assert float(result.logprob[row, k]) == pytest.approx(expected, abs=5e-5)


class Spy:
    """A decoder that keeps the full logits of every step (which the engine never does)."""

    def __init__(self, inner):
        self.inner, self.rows, self.seen = inner, torch.arange(len(inner.logits)), []
        self._keep()

    @property
    def logits(self):
        return self.inner.logits

    def _keep(self):
        self.seen.append((self.rows.clone(), self.inner.logits[:, 0].clone()))

    def step(self, tokens, parents):
        self.inner.step(tokens, parents)
        self._keep()

    def keep(self, order):
        self.inner.keep(order)
        self.rows = self.rows[order]


@every_architecture
def test_dropout_kl_equals_full_logits(architecture):
    loaded, ids = encoded(architecture, n=6)
    samples = torch.tensor([1, 3, 3, 3, 3, 3])  # the first prompt's one sample has nothing to be compared with
    group = torch.arange(len(ids)).repeat_interleave(samples)
    repeated = [ids[prompt] for prompt in group]
    setting = aftertune.generate.collect.parse_dropout(DROPOUT[architecture])
    with torch.no_grad(), torch.random.fork_rng(), dropout_on(loaded.model, setting):
        torch.manual_seed(3 + SEED)
        spy = Spy(prefill(loaded, repeated, "shared"))
        decoded = greedy_decode(spy, loaded.rules, LIMIT, group)
    checked = 0
    for step, (rows, logits) in enumerate(spy.seen):
        p = torch.softmax(logits.double(), -1).numpy()
        for at, row in enumerate(rows.tolist()):
            mates = [i for i, other in enumerate(rows.tolist()) if group[other] == group[row]]
            ours = float(decoded.kl[row, step])
            if len(mates) == 1:
                assert np.isnan(ours)
            else:
                assert ours == pytest.approx(stats.entropy(p[at], p[mates].mean(0)), abs=1e-5)
                checked += ours > 0
    assert checked > 10


@every_architecture
def test_results_do_not_depend_on_batch_size_or_order(architecture):
    model, tokenizer = tiny(architecture)
    texts = prompts(N)
    settings = {"beams": K, "dropout_samples": 0, "max_new_tokens": LIMIT}
    whole = aftertune.collect(model, tokenizer, texts, batch_size=N, **settings)
    single = aftertune.collect(model, tokenizer, texts, batch_size=1, **settings)
    flipped = aftertune.collect(model, tokenizer, texts[::-1], batch_size=5, **settings)
    assert list(whole.item_ids) == [str(i) for i in range(N)]
    for other, turn in ((single, slice(None)), (flipped, slice(None, None, -1))):
        assert list(other.greedy.text[turn]) == list(whole.greedy.text)
        assert other.beams.text[turn].tolist() == whole.beams.text.tolist()
        np.testing.assert_allclose(other.greedy.token_logprob[turn], whole.greedy.token_logprob, atol=1e-5)
        np.testing.assert_allclose(other.beams.sequence_logprob[turn], whole.beams.sequence_logprob, atol=5e-5)
        np.testing.assert_allclose(other.embedding[turn], whole.embedding, atol=1e-5)


@every_architecture
def test_dropout_samples_are_seeded_different_and_leave_no_trace(architecture):
    model, tokenizer = tiny(architecture)
    texts = prompts(N)
    settings = {"beams": 0, "max_new_tokens": LIMIT, "dropout": DROPOUT[architecture]}
    torch.manual_seed(5)
    state, modes, side = (
        torch.random.get_rng_state(),
        [m.training for m in model.modules()],
        tokenizer.padding_side,
    )
    first = aftertune.collect(model, tokenizer, texts, seed=0, **settings)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [m.training for m in model.modules()] == modes
    assert tokenizer.padding_side == side
    again = aftertune.collect(model, tokenizer, texts, seed=0, **settings)
    other = aftertune.collect(model, tokenizer, texts, seed=1, **settings)
    np.testing.assert_array_equal(first.dropout.token_entropy, again.dropout.token_entropy)
    assert (first.dropout.token_kl[:, :, 0] != other.dropout.token_kl[:, :, 0]).all()
    assert (first.dropout.token_kl[:, :, 0] > 0).all(), "each sample has its own mask"


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_dropout_that_drops_nothing_is_greedy(architecture):
    model, tokenizer = tiny(architecture)
    evidence = aftertune.collect(
        model, tokenizer, prompts(N), beams=0, dropout="residual:1e-12", max_new_tokens=LIMIT
    )
    for sample in range(3):
        assert list(evidence.dropout.text[:, sample]) == list(evidence.greedy.text)
    dropout = evidence.dropout
    np.testing.assert_allclose(dropout.token_logprob, dropout.token_logprob[:, :1].repeat(3, 1), atol=2e-6)
    # the KL of equal distributions is what rounding leaves of float32 sums over V tokens: errors add up as √V
    unit = np.finfo(np.float32).eps / 2
    rounding = 2 * tokenizer.vocab_size**0.5 * unit * np.nanmax(dropout.token_entropy)
    assert rounding < 5e-6
    assert np.nanmax(dropout.token_kl) < rounding


def test_embedding_is_the_mean_over_real_tokens():
    for architecture in ("llama", "t5"):
        model, tokenizer = tiny(architecture)
        texts = prompts(5)
        ours = aftertune.collect(model, tokenizer, texts, beams=0, dropout_samples=0, max_new_tokens=2).embedding
        for row, text in enumerate(texts):
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            with torch.no_grad():
                part = model.model if architecture == "llama" else model.encoder
                hidden = part(input_ids=ids).last_hidden_state[0]
            np.testing.assert_allclose(ours[row], hidden.mean(0), atol=1e-5)


def test_several_end_tokens_the_first_one_counts():
    loaded, ids = encoded("llama")
    ordinary = 10  # an ordinary word also ends an output
    rules = replace(loaded.rules, eos_ids=(EOS, ordinary))
    with torch.no_grad():
        plain = greedy_decode(prefill(loaded, ids, "shared"), loaded.rules, LIMIT)
        both = greedy_decode(prefill(loaded, ids, "shared"), rules, LIMIT)
    for row in range(N):
        expected = up_to_eos(plain.tokens[row, : plain.n_tokens[row]], eos=(EOS, ordinary))
        assert both.tokens[row, : both.n_tokens[row]].tolist() == expected
    loaded = replace(loaded, rules=rules)
    _, library = generate(loaded, ids, num_beams=K, num_return_sequences=K, eos_token_id=[EOS, ordinary])
    with torch.no_grad():
        beams = beam_search(prefill(loaded, ids, "shared"), rules, K, LIMIT)
    for row in range(N):
        for k in range(K):
            ours = beams.tokens[row, k, : beams.n_tokens[row, k]].tolist()
            assert ours == up_to_eos(library[row * K + k], eos=(EOS, ordinary))[:LIMIT]


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_beams_with_equal_scores_are_as_good_as_the_librarys(architecture):
    """Pairs of words that the model cannot tell apart: a beam with one of them has a twin of equal score."""
    model, tokenizer = tiny(architecture)
    twins = copy.deepcopy(model)
    with torch.no_grad():
        for weight in {id(w): w for w in (twins.get_input_embeddings().weight, twins.lm_head.weight)}.values():
            weight[4:-1:2] = weight[5::2][: len(weight[4:-1:2])]
    loaded = wrap(twins, tokenizer)
    ids = encode(loaded, prompts(N), PromptOptions(), LIMIT).ids
    output, _ = generate(loaded, ids, num_beams=K, num_return_sequences=K, early_stopping=False)
    with torch.no_grad():
        result = beam_search(prefill(loaded, ids, "shared"), loaded.rules, K, LIMIT)
    ours = result.logprob / result.n_tokens
    np.testing.assert_allclose(ours.flatten(), output.sequences_scores, atol=1e-5)
    assert (np.diff(ours.numpy()) > -1e-6).any(), "some beams are equal, or the test shows little"
    for row in range(N):
        assert len({tuple(beam[:n].tolist()) for beam, n in zip(result.tokens[row], result.n_tokens[row])}) == K


@every_architecture
def test_settings_of_the_model_are_as_before(architecture):
    model, tokenizer = tiny(architecture)

    def settings():
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        return model.config.to_dict(), model.generation_config.to_dict(), hooks, tokenizer.padding_side

    before = settings()
    aftertune.collect(model, tokenizer, prompts(3), dropout=DROPOUT[architecture], max_new_tokens=4)
    assert settings() == before


def test_pad_that_is_the_end_token_is_not_scored():
    loaded, ids = encoded("llama")
    same = replace(loaded, rules=replace(loaded.rules, pad_id=EOS))
    names = [str(i) for i in range(N)]
    options = CollectOptions(beams=K, dropout_samples=0, max_new_tokens=LIMIT)
    a, b = collect_batch(loaded, names, ids, options), collect_batch(same, names, ids, options)
    assert a.greedy.n_tokens.tolist() == b.greedy.n_tokens.tolist()
    np.testing.assert_allclose(a.greedy.token_logprob, b.greedy.token_logprob, atol=1e-6)
    assert a.beams.text.tolist() == b.beams.text.tolist()


def test_one_token_answers_and_empty_answers():
    loaded, ids = encoded("llama")
    names = [str(i) for i in range(N)]
    one = collect_batch(loaded, names, ids, CollectOptions(beams=2, dropout_samples=0, max_new_tokens=1))
    assert one.greedy.n_tokens.tolist() == [1] * N
    stop = replace(loaded, rules=replace(loaded.rules, eos_ids=tuple(range(loaded.model.config.vocab_size))))
    with torch.no_grad():
        decoded = greedy_decode(prefill(stop, ids, "shared"), stop.rules, LIMIT)
    assert decoded.n_tokens.tolist() == [1] * N
    assert decoded.tokens.shape == (N, 1)


def test_bart_forces_first_and_last_token_and_scores_them_from_raw_logits():
    loaded, ids = encoded("bart", limit=5)
    model = copy.deepcopy(loaded.model)
    model.final_logits_bias[0, EOS] -= 40  # it never ends by itself
    loaded = wrap(model, loaded.tokenizer)
    with torch.no_grad():
        decoded = greedy_decode(prefill(loaded, ids, "shared"), loaded.rules, 5)
    assert (decoded.tokens[:, 0] == BOS).all()
    assert (decoded.n_tokens == 5).all()
    assert (decoded.tokens[:, 4] == EOS).all()
    for row, prompt in enumerate(ids):
        log_p = torch.log_softmax(forced_logits(loaded, prompt, decoded.tokens[row].tolist()), -1)
        np.testing.assert_allclose(decoded.logprob[row, [0, 4]], [log_p[0, BOS], log_p[4, EOS]], atol=1e-4)
        assert decoded.logprob[row, 4] < -10, "a forced token has its own log-probability, not 0"


def test_beams_that_do_not_exist_are_absent_not_a_large_negative_number():
    loaded, ids = encoded("bart", n=3)
    with torch.no_grad():
        result = beam_search(prefill(loaded, ids, "shared"), loaded.rules, K, 1)  # only the forced last token
    assert (result.n_tokens[:, 0] == 1).all()
    assert torch.isnan(result.logprob[:, 1:]).all()
    assert (result.n_tokens[:, 1:] == 0).all()


def test_bfloat16_weights_are_reduced_in_float32():
    model, tokenizer = tiny("llama")
    half = copy.deepcopy(model).to(torch.bfloat16)
    evidence = aftertune.collect(half, tokenizer, prompts(N), beams=2, dropout_samples=0, max_new_tokens=6)
    loaded = wrap(half, tokenizer)
    ids = encode(loaded, prompts(N), PromptOptions(), 6).ids[:1]
    with torch.no_grad():
        logits = prefill(loaded, ids, "shared").logits[:, 0]
    assert logits.dtype == torch.bfloat16
    expected = torch.log_softmax(logits[0].double(), -1)
    top = expected.max().item()
    scalars = step_scalars(logits)
    assert scalars.logprob.item() == pytest.approx(top, abs=1e-6)
    assert scalars.entropy.item() == pytest.approx(float(-(expected.exp() * expected).sum()), abs=1e-5)
    assert evidence.greedy.token_logprob[0, 0] == pytest.approx(top, abs=2e-2)
    assert np.nanmax(evidence.greedy.token_entropy) <= np.log(model.config.vocab_size) + 1e-6


def test_adapters_decode_like_merged_weights():
    from peft import LoraConfig, TaskType, get_peft_model

    model, tokenizer = tiny("llama")
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        config = LoraConfig(
            r=4,
            target_modules="all-linear",
            init_lora_weights=False,
            task_type=TaskType.CAUSAL_LM,
            lora_dropout=0.3,
        )
        adapted = get_peft_model(copy.deepcopy(model), config).eval()
    settings = {"beams": 2, "max_new_tokens": 8}
    ours = aftertune.collect(adapted, tokenizer, prompts(N), dropout="lora", **settings)
    assert (ours.dropout.token_kl[:, :, 0] > 0).all()
    merged = adapted.merge_and_unload()
    expected = aftertune.collect(merged, tokenizer, prompts(N), dropout_samples=0, **settings)
    base = aftertune.collect(model, tokenizer, prompts(N), dropout_samples=0, **settings)
    assert list(ours.greedy.text) == list(expected.greedy.text)
    assert np.abs(ours.embedding - base.embedding).max() > 1e-2
    np.testing.assert_allclose(ours.embedding, expected.embedding, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_architecture
def test_cuda_equals_cpu(architecture):
    model, tokenizer = tiny(architecture)
    settings = {"beams": K, "dropout_samples": 0, "max_new_tokens": LIMIT}
    cpu = aftertune.collect(model, tokenizer, prompts(N), **settings)
    gpu = aftertune.collect(copy.deepcopy(model).cuda(), tokenizer, prompts(N), **settings)
    assert list(cpu.greedy.text) == list(gpu.greedy.text)
    np.testing.assert_allclose(cpu.greedy.token_logprob, gpu.greedy.token_logprob, atol=1e-4)


def test_dropout_is_checked_once_and_reported_by_its_sites():
    seen = []
    loaded = wrap(*tiny("t5"))
    encoded_prompts = encode(loaded, prompts(6), PromptOptions(), 3)
    options = CollectOptions(beams=0, dropout=DropoutSetting(kind="native"), max_new_tokens=3, batch_size=2)
    names = [str(i) for i in range(6)]
    batches = list(collect_batches(loaded, names, encoded_prompts, options, (), seen.append))
    assert len(batches) == 3
    assert len(seen) == 1
    assert seen[0].sites > 10
    assert seen[0].probabilities == (0.1,)


def test_logits_that_are_not_numbers_are_an_error():
    model, tokenizer = tiny("llama")
    broken = copy.deepcopy(model)
    broken.lm_head.weight.data[7] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        aftertune.collect(broken, tokenizer, prompts(2), beams=0, dropout_samples=0, max_new_tokens=3)
