"""What judging a whole command costs at most, said before anything is sent."""

from __future__ import annotations

import dataclasses

import pytest

from aftertune.errors import InputError
from aftertune.judges import Cost, Question, judge_from
from aftertune.judges.cost import PRICE, Batch, asks_for_money, forecast, longest_answers, tokens_of, total
from aftertune.judges.judge import FREE, PROMPT
from aftertune.types import Example


class Asks:
    """A judge of one dollar, ten input tokens and two output tokens for each answer that is not empty."""

    name = "asks"

    def __init__(self, dollars=1.0):
        self.dollars = dollars

    def estimate(self, questions):
        n = sum(not question.empty for question in questions)
        price = None if self.dollars is None else self.dollars * n
        return Cost(calls=n, cached=0, input_tokens=10 * n, output_tokens=2 * n, price=price)


def asked(n, *, empty=0):
    answers = ["a"] * n + [""] * empty
    return [Question(question="q?", answer=answer, references=("r",)) for answer in answers]


def test_checkpoints_that_are_alike():
    said = forecast(Asks(), [Batch(questions=asked(1000), checkpoints=5), Batch(questions=asked(1000))])
    assert (said.checkpoints, said.answers, said.n) == (6, (1000,), 6000)
    assert said.cost == Cost(calls=6000, cached=0, input_tokens=60_000, output_tokens=12_000, price=6000.0)
    assert str(said) == (
        "judge asks: 6 checkpoints × 1,000 answers, at most 6,000 calls, about 60,000 input and 12,000 output "
        "tokens, at most about $6,000.00 (answers that are empty or judged already cost nothing)"
    )


def test_checkpoints_that_differ_and_no_price():
    said = forecast(Asks(None), [Batch(questions=asked(3, empty=1), checkpoints=2), Batch(questions=asked(1))])
    assert str(said) == (
        "judge asks: 3 checkpoints, 9 answers, at most 7 calls, about 70 input and 14 output tokens (answers "
        f"that are empty or judged already cost nothing; set {PRICE} to see dollars)"
    )
    one = forecast(Asks(), [Batch(questions=asked(1))])
    assert str(one).startswith("judge asks: 1 checkpoint × 1 answer, at most 1 call, ")


@pytest.mark.parametrize(
    "batches",
    [[], [Batch(questions=[])], [Batch(questions=asked(2), checkpoints=0)], [Batch(questions=asked(0, empty=4))]],
)
def test_nothing_is_sent(batches):
    assert forecast(Asks(), batches) is None


def test_judges_that_are_free():
    for spec in ("rule", "token_f1:0.5", "local:embedded:tiny-llama-qa"):
        assert not asks_for_money(judge_from(spec))
        assert forecast(judge_from(spec), [Batch(questions=asked(3))]) is None
    assert asks_for_money(judge_from("openai:some-model"))
    assert asks_for_money(Asks())


def test_answers_as_long_as_they_may_be():
    """By hand: the prompt around question and reference, and four bytes for each token of the answer."""
    examples = [
        Example(id=str(i), prompt="Q: Who?\nA:", references=("Nobody", "x" * 900), question="Who?")
        for i in range(12)
    ]
    found = longest_answers(examples, 32)
    assert len({question.answer for question in found}) == 12
    assert {(question.question, len(question.answer)) for question in found} == {("Who?", 128)}
    around = PROMPT.format(question="Who?", label="Nobody", prediction="")
    tokens = tokens_of(around + "a" * 128)
    assert tokens == -(-(len(around) + 128) // 4) + 10
    said = forecast(judge_from("anthropic:some-model", price=(3, 15)), [Batch(questions=found, checkpoints=6)])
    assert (said.cost.calls, said.cost.input_tokens, said.cost.output_tokens) == (72, 72 * tokens, 72 * 16)
    assert said.cost.price == pytest.approx(72 * (tokens * 3 + 16 * 15) / 1e6)


@pytest.mark.parametrize("answer", ["", "a", "Paris", "word " * 25, "東" * 42])
def test_no_answer_of_that_length_costs_more(answer):
    example = Example(id="1", prompt="q", references=("r",))
    judge = judge_from("openai:gpt-4o", price=(2.5, 10))
    most = forecast(judge, [Batch(questions=longest_answers([example], 32))]).cost
    found = judge.estimate([Question(question="q", answer=answer, references=("r",))])
    for name in ("calls", "input_tokens", "output_tokens", "price"):
        assert getattr(found, name) <= getattr(most, name)


def test_sums_of_costs():
    cost = Cost(calls=2, cached=1, input_tokens=30, output_tokens=4, price=0.5)
    unknown = dataclasses.replace(cost, price=None)
    assert total([]) == FREE
    assert total([cost, cost, FREE]) == cost.times(2) == Cost(
        calls=4, cached=2, input_tokens=60, output_tokens=8, price=1.0
    )  # fmt: skip
    assert total([cost, unknown]).price is None
    assert unknown.times(3).price is None


def test_the_price_of_the_environment(monkeypatch):
    monkeypatch.setenv(PRICE, " 2.5/10 ")
    cost = judge_from("openai:m").estimate(asked(1))
    assert cost.price == pytest.approx((cost.input_tokens * 2.5 + cost.output_tokens * 10) / 1e6)
    assert judge_from("openai:m", price=(0, 0)).estimate(asked(1)).price == 0


@pytest.mark.parametrize("text", ["3", "3/", "$3/15", "-3/15", "3/nan", "3,15", "1e9/1"])
def test_a_price_that_is_none(monkeypatch, text):
    monkeypatch.setenv(PRICE, text)
    with pytest.raises(InputError, match=f"{PRICE} is .*: write dollars per million input and output .* 3/15"):
        judge_from("openai:m")
    judge_from("rule")
