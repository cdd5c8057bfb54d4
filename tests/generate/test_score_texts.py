"""Given texts, scored by teacher forcing: equal to full logits, and to what greedy decoding recorded."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from scipy import stats

import aftertune
from aftertune.errors import InputError
from aftertune.finetune.examples import tokenise
from aftertune.generate import forced
from aftertune.generate.prompts import PromptOptions, prompt_ids
from aftertune.generate.score_texts import score_given, score_texts
from aftertune.models.loaded import wrap
from aftertune.types import Example
from tiny import ARCHITECTURES, BOS, EOS, PAD, SEED, VOCABULARY, WORDS, prompts, tiny

LIMIT = 14
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def outputs(n: int, seed: int) -> list[list[int]]:
    """Ids of 1 to 9 words that no model chose, with an end of sequence."""
    draw = random.Random(seed)
    return [[VOCABULARY[w] for w in draw.choices(WORDS, k=draw.randint(1, 9))] + [EOS] for _ in range(n)]


def full_logits(model, tokenizer, prompt: str, output: list[int]) -> np.ndarray:
    """(T, V) log p by one plain forward pass of the whole model on one item."""
    ids = tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = [model.config.decoder_start_token_id, *output[:-1]]
            logits = model(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([start])).logits[0]
        else:
            logits = model(input_ids=torch.tensor([[*ids, *output]])).logits[0, len(ids) - 1 : -1]
    return torch.log_softmax(logits.double(), -1).numpy()


def check(evidence, model, tokenizer, asked, texts, atol=1e-5):
    for row, (prompt, output) in enumerate(zip(asked, texts)):
        log_p, n = full_logits(model, tokenizer, prompt, output), len(output)
        assert evidence.greedy.n_tokens[row] == n
        np.testing.assert_allclose(evidence.greedy.token_logprob[row, :n], log_p[np.arange(n), output], atol=atol)
        np.testing.assert_allclose(
            evidence.greedy.token_entropy[row, :n], stats.entropy(np.exp(log_p), axis=1), atol=atol
        )
        assert np.isnan(evidence.greedy.token_logprob[row, n:]).all()


@every_architecture
@pytest.mark.parametrize("chunk", [1, 45 * 7, 2**23])
def test_equals_full_logits_however_the_head_is_chunked(architecture, chunk, monkeypatch):
    monkeypatch.setattr(forced, "CHUNK", chunk)
    model, tokenizer = tiny(architecture)
    asked, texts = prompts(9, seed=5), outputs(9, seed=6)
    check(score_texts(model, tokenizer, asked, texts, batch_size=4), model, tokenizer, asked, texts)


@every_architecture
def test_equals_the_greedy_evidence_of_the_same_tokens(architecture):
    model, tokenizer = tiny(architecture)
    asked = prompts(12)
    collected = aftertune.collect(
        model, tokenizer, asked, beams=0, dropout_samples=0, max_new_tokens=LIMIT, embedding=False
    ).greedy
    ids = [generated(model, tokenizer, prompt) for prompt in asked]
    found = score_texts(model, tokenizer, asked, ids).greedy
    assert list(found.n_tokens) == list(collected.n_tokens)
    assert list(found.text) == list(collected.text)
    np.testing.assert_allclose(found.token_logprob, collected.token_logprob, atol=1e-5)
    np.testing.assert_allclose(found.token_entropy, collected.token_entropy, atol=1e-5)
    assert len(set(collected.n_tokens)) > 2, "outputs of different lengths, or the test shows little"
    if architecture == "bart":
        assert {row[0] for row in ids} == {BOS}  # the forced first token counts, in both


def generated(model, tokenizer, prompt: str) -> list[int]:
    """Ids of the library's own greedy output, without start token and padding."""
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    row = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=LIMIT, do_sample=False, num_beams=1
    )[0].tolist()
    row = row[1:] if model.config.is_encoder_decoder else row[ids.shape[1] :]
    return row[: row.index(EOS) + 1] if EOS in row else row


@every_architecture
def test_a_text_becomes_the_tokens_that_fine_tuning_trains_on(architecture):
    model, tokenizer = tiny(architecture)
    asked, texts = ["w1 w2 =", "w3 =", "w4 ="], ["w2 w1", "w5 w6 w7", ""]
    targets = [[VOCABULARY[word] for word in text.split()] + [EOS] for text in texts]
    if architecture == "bart":
        targets = [[BOS, *target] for target in targets]
    found = score_texts(model, tokenizer, asked, texts)
    check(found, model, tokenizer, asked, targets)
    assert list(found.greedy.text) == texts
    examples = [Example(id=p, prompt=p, references=(t,)) for p, t in zip(asked[:2], texts[:2])]
    trained = tokenise(wrap(model, tokenizer), examples, chat="off", too_long="error").examples
    assert [[x for x in one.labels if x != -100] for one in trained] == targets[:2]


@every_architecture
def test_independent_of_batch_order_and_neighbours(architecture):
    model, tokenizer = tiny(architecture)
    asked, texts = prompts(10, seed=7), outputs(10, seed=8)
    one = score_texts(model, tokenizer, asked, texts, batch_size=1).greedy
    all_at_once = score_texts(model, tokenizer, asked, texts, batch_size=10).greedy
    back = score_texts(model, tokenizer, asked[::-1], texts[::-1], batch_size=3).greedy
    for name in ("token_logprob", "token_entropy"):
        np.testing.assert_allclose(getattr(all_at_once, name), getattr(one, name), atol=1e-5)
        np.testing.assert_allclose(getattr(back, name)[::-1], getattr(one, name), atol=1e-5)
    assert list(back.text[::-1]) == list(one.text) == list(all_at_once.text)


def test_scores_read_it():
    model, tokenizer = tiny("llama")
    log_p = full_logits(model, tokenizer, "w1 w2 =", [EOS])[0]
    texts = [[log_p.argmax()], [log_p.argmin()]]
    evidence = score_texts(model, tokenizer, ["w1 w2 ="] * 2, texts)
    assert list(evidence.item_ids) == ["0", "1"]
    assert (evidence.beams, evidence.dropout, evidence.embedding) == (None, None, None)
    scores = aftertune.score(evidence, ["mean_token_logprob", "mean_token_entropy"])
    np.testing.assert_allclose(scores["mean_token_logprob"], [log_p.max(), log_p.min()], atol=1e-5)
    given = score_texts(model, tokenizer, ["w1 w2 =", "w3 ="], ["w1 w2", "w4"])
    mean = np.nanmean(given.greedy.token_logprob, axis=1)
    np.testing.assert_allclose(aftertune.score(given, ["mean_token_logprob"])["mean_token_logprob"], mean)


@every_architecture
def test_no_tensor_of_logits_is_larger_than_a_chunk(architecture, monkeypatch):
    monkeypatch.setattr(forced, "CHUNK", 45 * 5)
    model, tokenizer = tiny(architecture)
    sizes = []
    handle = model.get_output_embeddings().register_forward_hook(lambda m, a, output: sizes.append(output.numel()))
    try:
        asked, texts = prompts(8, seed=1), outputs(8, seed=2)
        score_texts(model, tokenizer, asked, texts, batch_size=8)
    finally:
        handle.remove()
    positions = sum(map(len, texts))
    assert max(sizes) == 45 * 5
    assert sum(sizes) == 45 * (positions + 1)  # each position once, and the one that the first pass is left


@every_architecture
def test_everything_is_as_before_afterwards(architecture):
    model, tokenizer = tiny(architecture)
    model, side = copy.deepcopy(model), tokenizer.padding_side
    model.train()
    model.get_decoder().eval()  # a module of a mode of its own
    modes = [m.training for m in model.modules()]
    forwards = [m.__dict__.get("forward") for m in model.modules()]
    hooks = [len(m._forward_hooks) for m in model.modules()]  # transformers leaves some that catch hidden states
    cache, state = model.config.use_cache, torch.random.get_rng_state()
    asked, texts = prompts(4, seed=3), outputs(4, seed=4)
    found = score_texts(model, tokenizer, asked, texts)
    assert modes == [m.training for m in model.modules()]
    assert forwards == [m.__dict__.get("forward") for m in model.modules()]
    assert (model.config.use_cache, tokenizer.padding_side) == (cache, side)
    assert torch.equal(state, torch.random.get_rng_state())
    assert hooks == [len(m._forward_hooks) for m in model.modules()]
    check(found, *tiny(architecture), asked, texts)  # no dropout acted, although it was in training mode


def test_a_forward_that_another_library_put_on_the_decoder_stays():
    model = copy.deepcopy(tiny("llama")[0])
    decoder = model.get_decoder()
    inner, calls = decoder.forward, []

    def counted(*args, **kwargs):
        calls.append(1)
        return inner(*args, **kwargs)

    decoder.forward = counted
    asked, texts = prompts(3, seed=3), outputs(3, seed=4)
    score_texts(model, tiny("llama")[1], asked, texts)  # the model is tried
    calls.clear()
    check(score_texts(model, tiny("llama")[1], asked, texts), *tiny("llama"), asked, texts)
    assert decoder.__dict__["forward"] is counted
    assert len(calls) == 1


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_adapters_on_every_layer_and_the_head(architecture):
    from peft import LoraConfig, get_peft_model

    plain, tokenizer = tiny(architecture)
    kind = "SEQ_2_SEQ_LM" if architecture == "t5" else "CAUSAL_LM"
    layers = {"t5": ["q", "v", "lm_head"], "llama": ["q_proj", "lm_head"]}[architecture]
    model = copy.deepcopy(plain)
    if architecture == "t5":  # peft refuses an adapter on a tied head
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        model.config.tie_word_embeddings = False
    with torch.random.fork_rng():
        torch.manual_seed(3 + SEED)
        config = LoraConfig(r=2, target_modules=layers, task_type=kind, init_lora_weights=False, lora_dropout=0.5)
        model = get_peft_model(model, config)
    model.train()
    asked, texts = prompts(5, seed=3), outputs(5, seed=4)
    found = score_texts(model, tokenizer, asked, texts, batch_size=3)
    assert model.training
    check(found, model.eval(), tokenizer, asked, texts)
    without = score_texts(plain, tokenizer, asked, texts).greedy.token_logprob
    assert np.nanmax(np.abs(found.greedy.token_logprob - without)) > 0.01, "the adapters did not act"


def test_several_ends_of_sequence_and_ids_are_exact():
    model = copy.deepcopy(tiny("llama")[0])
    other_end = VOCABULARY["w7"]
    model.generation_config.eos_token_id = [EOS, other_end]
    tokenizer = tiny("llama")[1]
    asked = ["w1 w2 =", "w3 ="]
    texts = [[VOCABULARY["w1"], other_end], [VOCABULARY["w3"], EOS]]
    found = score_texts(model, tokenizer, asked, texts)
    check(found, model, tokenizer, asked, texts)
    assert list(found.greedy.n_tokens) == [2, 2]
    text = score_texts(model, tokenizer, asked[:1], ["w1 w7"]).greedy  # ends already: no second end
    check_n = score_texts(model, tokenizer, asked[:1], ["w1 w8"]).greedy
    assert (text.n_tokens[0], check_n.n_tokens[0]) == (2, 3)


@every_architecture
def test_bfloat16_is_reduced_in_float32(architecture):
    model, tokenizer = tiny(architecture)
    low = copy.deepcopy(model).to(torch.bfloat16)
    asked, texts = prompts(6, seed=3), outputs(6, seed=4)
    found = score_texts(low, tokenizer, asked, texts).greedy
    exact = score_texts(model, tokenizer, asked, texts).greedy
    difference = found.token_entropy - exact.token_entropy
    assert np.nanmax(np.abs(difference)) < 0.3
    values = found.token_logprob[np.isfinite(found.token_logprob)]
    assert not np.array_equal(values, torch.tensor(values).bfloat16().double().numpy())
    check(score_texts(low, tokenizer, asked[:1], texts[:1]), low, tokenizer, asked[:1], texts[:1], atol=1e-2)


def test_chat_template_names_and_prompts_that_do_not_fit():
    model, plain = tiny("llama")
    tokenizer = copy.deepcopy(plain)
    tokenizer.chat_template = "{% for m in messages %}<s> w9 {{ m['content'] }} ={% endfor %}"
    loaded = wrap(model, tokenizer)
    found = score_given(loaded, ["a", "b"], ["w1", "w2"], ["w1", "w2 w3"], PromptOptions())
    assert list(found.item_ids) == ["a", "b"]
    same = score_texts(model, plain, ["w9 w1 =", "w9 w2 ="], ["w1", "w2 w3"]).greedy
    np.testing.assert_allclose(found.greedy.token_logprob, same.token_logprob, atol=1e-6)

    loaded, long = wrap(model, plain), " ".join(["w1"] * 120)
    cut = score_given(loaded, ["a"], [long], ["w1"], PromptOptions(too_long="truncate"), max_new_tokens=14)
    kept = " ".join(["w1"] * (96 - 14 - 1))  # beside the beginning-of-sequence token
    assert len(prompt_ids(loaded, kept, "off")) == 96 - 14
    expected = score_texts(model, plain, [kept], ["w1"]).greedy.token_logprob
    np.testing.assert_allclose(cut.greedy.token_logprob, expected, atol=1e-6)
    left = score_given(loaded, ["a", "b"], [long, "w1 ="], ["w1", "w1"], PromptOptions(too_long="drop"))
    assert list(left.item_ids) == ["b"]
    with pytest.raises(InputError, match="no prompt with its text fits"):
        score_given(loaded, ["a"], [long], ["w1"], PromptOptions(too_long="drop"))


@pytest.mark.parametrize("architecture", ["llama", "bart"])
def test_exactly_the_context_fits_and_one_token_more_does_not(architecture):
    model, tokenizer = tiny(architecture)
    prompt = [VOCABULARY["w1"]] * 10
    n = 96 - len(tokenizer("w1 " * 10)["input_ids"]) if architecture == "llama" else 96
    found = score_texts(model, tokenizer, ["w1 " * 10], [[prompt[0]] * n])
    assert found.greedy.n_tokens[0] == n
    with pytest.raises(InputError, match=f"item '0' has .* and {n + 1} target tokens, more than the context"):
        score_texts(model, tokenizer, ["w1 " * 10], [[prompt[0]] * (n + 1)])


@pytest.mark.parametrize(
    ("asked", "texts", "message"),
    [
        (["w1", "w2"], ["w1"], "2 prompts and 1 texts: give one text for each prompt"),
        ([], [], "no texts to score"),
        (["w1"], [[]], "the text of item '0' has no tokens"),
        (
            ["w1", "w1"],
            [[5], [5, 45]],
            "the text of item '1' has the token id 45, but the vocabulary of model has 45",
        ),
        (["w1"], [[-100, 5]], "the token id -100"),
        (["w1"], [[1.5]], "neither a str nor a sequence of token ids"),
        (["w1"], [7], "neither a str nor a sequence of token ids"),
    ],
)
def test_refused(asked, texts, message):
    with pytest.raises(InputError, match=message):
        score_texts(*tiny("llama"), asked, texts)
    with pytest.raises(InputError, match="batch_size is 0: write a whole number from 1"):
        score_texts(*tiny("llama"), ["w1"], ["w1"], batch_size=0)


def test_broken_weights_are_refused_and_the_model_is_put_back():
    model = copy.deepcopy(tiny("llama")[0]).train()
    with torch.no_grad():
        model.lm_head.weight[PAD] = float("nan")
    with pytest.raises(InputError, match="the model's logits are not finite"):
        score_texts(model, tiny("llama")[1], ["w1 ="], ["w1"])
    assert all(m.training for m in model.modules())
    assert "forward" not in model.get_decoder().__dict__


def test_arrays_and_tensors_of_ids():
    model, tokenizer = tiny("t5")
    asked = ["w1 w2 ="]
    ids = [VOCABULARY["w1"], EOS]
    expected = score_texts(model, tokenizer, asked, [ids]).greedy.token_logprob
    for given in (np.array(ids), torch.tensor(ids), tuple(ids)):
        np.testing.assert_array_equal(score_texts(model, tokenizer, asked, [given]).greedy.token_logprob, expected)
