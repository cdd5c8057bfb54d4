"""A local model as the judge."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from aftertune.errors import InputError
from aftertune.generate.collect import collect
from aftertune.judges import Question, judge_from, judged
from aftertune.judges.judge import prompt_of, read_verdict
from aftertune.judges.local import LocalJudge
from aftertune.models.loaded import wrap
from tiny import SEED

QUESTIONS = [
    Question(question="Who wrote Hamlet?", answer=answer, references=("Shakespeare",))
    for answer in ("Shakespeare", "Marlowe", "Kyd")
]
SAID = ["Yes", "No", "Perhaps not"]


@pytest.fixture(scope="module")
def judge_model():
    """A tiny Llama that was taught what to say to three prompts, until each token is far the most likely."""
    prompts = [prompt_of(question) for question in QUESTIONS]
    words = ["<pad>", "<s>", "</s>", *dict.fromkeys(" ".join([*prompts, *SAID]).split())]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=4, max_position_embeddings=96, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            )
        )  # fmt: skip
        optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for _ in range(2000):
            losses = []
            for prompt, said in zip(prompts, SAID):
                start, end = tokenizer(prompt)["input_ids"], [*tokenizer(said)["input_ids"][1:], 2]
                ids = torch.tensor([start + end])
                labels = torch.tensor([[-100] * len(start) + end])
                losses.append(model(input_ids=ids, labels=labels).loss)
            if max(losses) < 0.05:
                break
            optimiser.zero_grad()
            sum(losses).backward()
            optimiser.step()
        assert max(losses) < 0.05
    return wrap(model.eval(), tokenizer, name="tiny-judge")


def test_what_the_model_says_is_read(judge_model):
    judge = LocalJudge(judge_model)
    empty = Question(question="q?", answer=" ", references=("a",))
    said = judged(judge, [*QUESTIONS, empty, QUESTIONS[0]])
    assert [one.correct for one in said] == [True, False, None, False, True]
    assert [one.raw for one in said] == ["Yes", "No", "Perhaps not", "", "Yes"]
    assert judge.name == "local:tiny-judge"
    assert judge.estimate(QUESTIONS).calls == 0
    assert LocalJudge(judge_model, batch_size=1).judge(QUESTIONS) == said[:3]
    assert LocalJudge(judge_model).judge([]) == []


def test_an_embedded_model_by_its_name_says_what_collect_says():
    from aftertune.models.load import load

    judge = judge_from("local:embedded:tiny-llama-qa")
    judge.ready()
    loaded = load("embedded:tiny-llama-qa")
    texts = collect(
        loaded.model, loaded.tokenizer, [prompt_of(question) for question in QUESTIONS],
        beams=0, dropout_samples=0, embedding=False, max_new_tokens=16,
    ).greedy.text  # fmt: skip
    assert judge.judge(QUESTIONS) == [read_verdict(text) for text in texts]
    with pytest.raises(InputError, match="the judge local:embedded:tiny-llama-qa abstained on all 3 answers"):
        judged(judge, QUESTIONS)
    assert "|weights:" in judge.signature()


def test_a_model_that_is_not_there(tmp_path):
    judge = judge_from(f"local:{tmp_path}/nowhere")
    for use in (judge.ready, lambda: judge.judge(QUESTIONS)):
        with pytest.raises(InputError, match="nowhere does not exist"):
            use()


def test_a_template_that_fails_on_the_question(judge_model):
    """The judge's own model: no setting of the command turns its template off."""
    judge_model.tokenizer.chat_template = "{{ raise_exception('no system turn.') }}"
    try:
        with pytest.raises(InputError) as caught:
            LocalJudge(judge_model).judge(QUESTIONS)
    finally:
        judge_model.tokenizer.chat_template = None
    assert str(caught.value) == (
        "the chat template of the judge local:tiny-judge fails on its question: no system turn: mend the "
        "template, or take another judge"
    )
