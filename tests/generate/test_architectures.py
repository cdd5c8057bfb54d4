"""The contract, over every architecture: `collect` gives what `generate` gives for one prompt at a time, whatever
else is asked for and whatever else is in the batch, and `score_texts` gives what `collect` gave.

A few architectures, one of each kind of trouble, are tried in every run; the others in `make sweep`.
"""

from __future__ import annotations

import copy
import random
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import aftertune
from aftertune.errors import InputError
from aftertune.generate import trial
from aftertune.generate.collect import _texts
from aftertune.models.loaded import wrap
from architectures import BEAMS_WITHOUT_CACHE, LEFT_OUT, REFUSED, build, registered
from tiny import EOS, PAD, prompts, tiny, tokenizer

N, K, LIMIT = 6, 3, 10
EXACT = 2e-4
COVERED = [
    (model_type, seq2seq)
    for seq2seq in (False, True)
    for model_type in registered(seq2seq)
    if model_type not in LEFT_OUT and model_type not in REFUSED
]
SHORT = {
    ("gpt_neo", False): "windows over the columns of the cache",
    ("phi3", False): "positions that depend on the length of what is read",
    ("bart", False): "positions that count the padding",
    ("lfm2", False): "states of convolutions beside keys and values",
    ("mamba", False): "states alone, in a cache of another name",
    ("openai-gpt", False): "no cache",
    ("qwen2_moe", False): "experts, and windows in some layers",
    ("moshi", False): "steps that differ from one pass",
    ("led", True): "an encoder with windows",
    ("switch_transformers", True): "an encoder whose output is of its own type",
}


def cases():
    for case in COVERED:
        name = f"{case[0]}-{'seq2seq' if case[1] else 'causal'}"
        yield pytest.param(*case, id=name, marks=[] if case in SHORT else pytest.mark.sweep)


@dataclass(frozen=True)
class Expected:
    """What `generate` gives for one prompt: greedy ids, log p and entropies, and beams with their scores."""

    tokens: list[int]
    logprob: np.ndarray
    entropy: np.ndarray
    beams: list[list[int]]
    scores: np.ndarray


def generate(model: Any, ids: list[int], limit: int = LIMIT, **settings: Any) -> tuple[Any, list[list[int]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=limit,
            do_sample=False,
            output_logits=True,
            output_scores=True,
            return_dict_in_generate=True,
            **settings,
        )
    start = 1 if model.config.is_encoder_decoder else len(ids)
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return output, [up_to_end(row, ends) for row in output.sequences[:, start:].tolist()]


def up_to_end(row: list[int], ends: list[int]) -> list[int]:
    return next((row[: i + 1] for i, token in enumerate(row) if token in ends), row)


def expected(model: Any, ids: list[int]) -> Expected:
    output, (tokens,) = generate(model, ids, num_beams=1)
    log_p = torch.log_softmax(torch.cat(output.logits).double(), -1)[: len(tokens)]
    search = {"num_beams": K, "num_return_sequences": K, "early_stopping": False, "length_penalty": 1.0}
    if model.config.model_type in BEAMS_WITHOUT_CACHE:
        search["use_cache"] = False
    output, beams = generate(model, ids, **search)
    return Expected(
        tokens=tokens,
        logprob=log_p[torch.arange(len(tokens)), torch.tensor(tokens)].numpy(),
        entropy=torch.special.entr(log_p.exp()).sum(-1).numpy(),
        beams=beams,
        scores=output.sequences_scores.double().numpy(),
    )


def subject(model_type: str, seq2seq: bool):
    """(model, tokenizer, texts), with outputs that end early, late, and at the limit: the token that ends them
    besides the tokenizer's is one that the model says."""
    words, texts = tokenizer("t5" if seq2seq else "causal"), prompts(N, seed=3)
    asked = [words(text)["input_ids"] for text in texts]
    for spread in (0.3, 0.6):
        model = build(model_type, seq2seq, spread)
        model.generation_config.eos_token_id = [EOS]
        model.generation_config.pad_token_id = PAD
        said = [generate(model, ids, num_beams=1)[1][0] for ids in asked]
        if len({token for row in said for token in row}) > 7:
            break

    def ends(token: int) -> tuple[int, int, int]:
        places = [row.index(token) for row in said if token in row]
        return -abs(len(places) - N // 2), len(set(places)), token

    model.generation_config.eos_token_id = [EOS, max(range(PAD + 3, 45), key=ends)]
    return model, words, texts


@pytest.mark.parametrize(("model_type", "seq2seq"), list(cases()))
def test_the_contract(model_type, seq2seq):
    model, words, texts = subject(model_type, seq2seq)
    alone = [expected(model, words(text)["input_ids"]) for text in texts]
    mixed = random.Random(0).sample(range(N), N)
    settings = {"dropout_samples": 0, "max_new_tokens": LIMIT}
    found = []
    for order, beams, size in ((range(N), 0, 4), (mixed, K, None), (range(N)[::-1], K, 1)):
        asked = [texts[i] for i in order]
        found.append(aftertune.collect(model, words, asked, beams=beams, batch_size=size, **settings))
        for row, i in enumerate(order):
            check(model, words, found[-1], row, alone[i])
        np.testing.assert_allclose(found[-1].embedding, found[0].embedding[list(order)], atol=1e-3)
    greedy = found[0].greedy
    for size in (1, N):
        scored = aftertune.score_texts(model, words, texts, greedy.token_ids, batch_size=size).greedy
        np.testing.assert_allclose(scored.token_logprob, greedy.token_logprob, atol=EXACT)
        np.testing.assert_allclose(scored.token_entropy, greedy.token_entropy, atol=EXACT)


def check(model: Any, words: Any, evidence: Any, row: int, alone: Expected) -> None:
    greedy, n = evidence.greedy, len(alone.tokens)
    assert greedy.token_ids[row, : greedy.n_tokens[row]].tolist() == alone.tokens
    np.testing.assert_allclose(greedy.token_logprob[row, :n], alone.logprob, atol=EXACT)
    np.testing.assert_allclose(greedy.token_entropy[row, :n], alone.entropy, atol=EXACT)
    if evidence.beams is None:
        return
    assert evidence.beams.n_tokens[row].tolist() == [len(beam) for beam in alone.beams]
    ids = torch.tensor([beam + [PAD] * (LIMIT - len(beam)) for beam in alone.beams])
    texts = _texts(wrap(model, words), ids, torch.tensor([len(beam) for beam in alone.beams]))
    assert evidence.beams.text[row].tolist() == texts.tolist()
    scores = evidence.beams.sequence_logprob[row] / evidence.beams.n_tokens[row]
    np.testing.assert_allclose(scores, alone.scores, atol=EXACT)


def test_every_architecture_is_covered_or_left_out_for_a_reason():
    everything = {*registered(False), *registered(True)}
    assert {*LEFT_OUT, *REFUSED} <= everything
    assert set(SHORT) <= set(COVERED)
    assert len({model_type for model_type, _ in COVERED}) >= 45
    assert all((*LEFT_OUT.values(), *REFUSED.values(), *BEAMS_WITHOUT_CACHE.values()))


@pytest.mark.parametrize("model_type", REFUSED)
def test_what_is_refused_is_named_before_decoding(model_type):
    model, words, texts = build(model_type, False), tokenizer("causal"), prompts(N, seed=3)
    with pytest.raises(InputError, match=rf"\({model_type}\) cannot be decoded: no way to read it gives what"):
        aftertune.collect(model, words, texts, beams=K, dropout_samples=0, max_new_tokens=LIMIT)


def test_outputs_that_depend_on_other_rows_are_refused_with_what_still_works():
    """As experts with room for so many tokens of a batch do."""
    model, words = tiny("llama")
    mixing = copy.deepcopy(model)
    forward = mixing.lm_head.forward
    mixing.lm_head.forward = lambda states: forward(states) + 3.0 * states.shape[0] * torch.arange(45).cos()
    texts, settings = prompts(4), {"max_new_tokens": 4, "dropout": "residual:0.1"}
    for wanted in ({"beams": 2, "dropout_samples": 0}, {"beams": 0, "dropout_samples": 2}):
        with pytest.raises(
            InputError, match=r"\(llama\) gives a prompt another .*: --beams 0 --dropout-samples 0$"
        ):
            aftertune.collect(mixing, words, texts, **wanted, **settings)
    found = aftertune.collect(mixing, words, texts, beams=0, dropout_samples=0, max_new_tokens=4).greedy
    for row, text in enumerate(texts):
        _, (alone,) = generate(mixing, words(text)["input_ids"], 4, num_beams=1)
        assert found.token_ids[row, : found.n_tokens[row]].tolist() == alone
    scored = aftertune.score_texts(mixing, words, texts, found.token_ids).greedy
    np.testing.assert_allclose(scored.token_logprob, found.token_logprob, atol=EXACT)


def test_a_forward_pass_that_fails_is_one_line():
    model, words = tiny("llama")
    broken = copy.deepcopy(model)

    def forward(*args, **kwargs):
        raise ValueError("pixel_values are missing\nand more")

    broken.model.forward = forward
    with pytest.raises(
        InputError, match=r"\(llama\) cannot be decoded: .* \(ValueError: pixel_values are missing\)$"
    ):
        aftertune.collect(broken, words, prompts(2), beams=0, dropout_samples=0, max_new_tokens=4)


def test_lengths_on_both_sides_of_a_change_are_decoded_apart():
    """Phi-3's long factors: prompts that stay on one side of the change keep the quick way."""
    model, words, _ = subject("phi3", False)
    loaded = wrap(model, words)
    lengths = [3, 30, 4, 14, 31]  # 16 is where the factors change
    found = list(trial.together(loaded, lengths, 4, branching=True))
    assert sorted(row for _, rows in found for row in rows) == [0, 1, 2, 3, 4]
    assert {row: way for way, rows in found for row in rows} == dict.fromkeys((0, 2, 1, 4), "shared") | {3: "anew"}


def test_verdicts_are_kept_for_lengths_between_the_numbers_of_the_configuration():
    model, words = tiny("llama")
    loaded = wrap(copy.deepcopy(model), words)
    first = trial.plan(loaded, [9, 20], 5, branching=True)
    assert (first.shortest, first.longest) == (9, 32)  # 8 is the size of a head, 32 the width
    assert trial.plan(loaded, [12, 27], 5, branching=True) is first
    assert trial.plan(loaded, [12, 27], 5) is first
    assert trial.plan(loaded, [12, 28], 5, branching=True) is not first


@pytest.mark.parametrize("model_type", ["openai-gpt", "bart"])
def test_dropout_does_not_depend_on_the_batch_however_a_model_is_read(model_type):
    model, words, texts = subject(model_type, False)
    settings = {"beams": 0, "dropout_samples": 2, "dropout": "native", "max_new_tokens": 6}
    whole = aftertune.collect(model, words, texts, batch_size=N, **settings).dropout
    single = aftertune.collect(model, words, texts, batch_size=1, **settings).dropout
    assert whole.text.tolist() == single.text.tolist()
    np.testing.assert_allclose(whole.token_logprob, single.token_logprob, atol=EXACT)
    assert (whole.text[:, 0] != whole.text[:, 1]).any()


CONTEXTS = {
    ("gpt2", False): (64, None),
    ("mpt", False): (64, None),
    ("ctrl", False): (64, None),
    ("roberta", False): (64 - PAD - 1, None),  # positions count from the one behind the padding's
    ("bloom", False): (None, None),
    ("t5", True): (None, None),
    ("bart", True): (64, 64),
    ("led", True): (64, 48),
    ("t5gemma", True): (64, 64),
}


@pytest.mark.parametrize(("model_type", "seq2seq"), list(CONTEXTS))
def test_outputs_and_prompts_beyond_the_positions_are_refused_before_decoding(model_type, seq2seq):
    model, words = build(model_type, seq2seq), tokenizer("t5" if seq2seq else "causal")
    if model_type == "led":
        model = build(model_type, seq2seq, max_decoder_position_embeddings=48)
    loaded = wrap(model, words)
    context, output = CONTEXTS[model_type, seq2seq]
    assert (loaded.context, loaded.output_context) == (context, output)
    settings = {"beams": 0, "dropout_samples": 0}
    text = " ".join(["w1"] * 9)
    n = len(words(text)["input_ids"])
    if seq2seq and output is not None:
        aftertune.collect(model, words, [text], max_new_tokens=output, **settings)
        with pytest.raises(InputError, match=f"max_new_tokens {output + 1} is more than .*: lower it to {output}"):
            aftertune.collect(model, words, [text], max_new_tokens=output + 1, **settings)
        with pytest.raises(InputError, match=f"and {output + 1} target tokens, more than the context"):
            aftertune.score_texts(model, words, [text], [[9] * (output + 1)])
        aftertune.score_texts(model, words, [text], [[9] * output])
    elif context is not None:
        aftertune.collect(model, words, [text], max_new_tokens=context - n, **settings)
        with pytest.raises(InputError, match=f"has {n} tokens, but model has room for {n - 1}"):
            aftertune.collect(model, words, [text], max_new_tokens=context - n + 1, **settings)
