"""A model behind an API as the judge, with the paper's prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from threading import Event, Lock

from aftertune.errors import InputError
from aftertune.judges.cache import AnswerCache
from aftertune.judges.clients import Endpoint
from aftertune.judges.cost import Cost, price_of, tokens_of
from aftertune.judges.judge import EMPTY, Judgement, Progress, Question
from aftertune.judges.prompt import MAX_NEW_TOKENS, PROMPT, prompt_of, read_verdict
from aftertune.judges.retry import Backoff, Refused, Stopped, Unavailable
from aftertune.signature import digest, signature

CONCURRENCY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiJudge:
    """Asks a model, each distinct prompt once, and keeps what it says.

    Attributes
    ----------
    concurrency : requests under way at once, at most.
    note : told that it waits, where it does.
    """

    name: str
    endpoint: Endpoint
    cache: AnswerCache
    backoff: Backoff
    concurrency: int = CONCURRENCY
    note: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise InputError(f"the judge's concurrency is {self.concurrency}: write 1 or more requests at once")

    def signature(self) -> str:
        return signature(settings_of(self.endpoint))

    def ready(self) -> None:
        """`InputError` where the client is not installed, no key is set or the address cannot be reached.

        No request is sent, and nothing is spent.
        """
        self.endpoint.check()
        try:
            self.endpoint.connect()
        except Unavailable as error:
            raise InputError(
                f"the judge {self.name} cannot be reached at {self.endpoint.address}: {error}; nothing was "
                "decoded or sent: start it or check the address, and give the same command again"
            ) from None

    def telling(self, note: Callable[[str], object]) -> ApiJudge:
        """The same judge, which says once for each call of `judge` that it waits and asks again."""
        return replace(self, note=note)

    def estimate(self, questions: Sequence[Question]) -> Cost:
        prompts = _distinct(questions)
        todo = [prompt for prompt in prompts if self.cache.get(prompt) is None]
        tokens = sum(map(tokens_of, todo))
        most = MAX_NEW_TOKENS * len(todo)
        prices = price_of(self.endpoint.model) if self.endpoint.of_provider else None
        price = None if prices is None else (tokens * prices[0] + most * prices[1]) / 1e6
        return Cost(
            calls=len(todo),
            cached=len(prompts) - len(todo),
            input_tokens=tokens,
            output_tokens=most,
            price=price if todo else 0.0,
        )

    def judge(self, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
        """A judgement for each question, in order; an empty answer is incorrect without being asked about.

        Raises
        ------
        InputError
            No client, no key, an endpoint that is down or refuses. What was judged by then is in the cache, and
            the same call goes on from there.
        """
        prompts = _distinct(questions)
        todo = [prompt for prompt in prompts if self.cache.get(prompt) is None]
        if todo:
            self._ask(todo, known=len(prompts) - len(todo), progress=progress)
        return [EMPTY if question.empty else self._read(prompt_of(question)) for question in questions]

    def _read(self, prompt: str) -> Judgement:
        raw = self.cache.get(prompt)
        if raw is None:
            raise ValueError("a prompt was not asked")
        return read_verdict(raw)

    def _ask(self, prompts: Sequence[str], *, known: int, progress: Progress | None) -> None:
        stop, answered = Event(), 0
        failure: BaseException | None = None
        unsaid = Lock()

        def waits(error: Unavailable, attempts: int) -> None:
            if self.note is not None and unsaid.acquire(blocking=False):
                self.note(f"the judge {self.name} gives no answer ({error}): trying again, {_times(attempts)}")

        with self.endpoint.open() as ask, ThreadPoolExecutor(self.concurrency, "judge") as pool:

            def one(prompt: str) -> None:
                try:
                    self.cache.put(prompt, read_verdict(self.backoff.call(ask, prompt, stop, waits)).raw)
                except BaseException:
                    stop.set()  # before this thread takes up the next prompt
                    raise

            try:
                for future in as_completed([pool.submit(one, prompt) for prompt in prompts]):
                    error = future.exception()
                    if error is None:
                        answered += 1
                        if progress is not None:
                            progress(answered, len(prompts))
                    elif not isinstance(error, Stopped):
                        failure = failure or error
            finally:
                stop.set()  # an interruption too ends the waiting
        if failure is not None:
            raise self._failed(failure, known + answered, known + len(prompts)) from None

    def _failed(self, failure: BaseException, n: int, total: int) -> BaseException:
        if not isinstance(failure, Unavailable | Refused):
            return failure
        tried = f" after {self.backoff.attempts} attempts" if isinstance(failure, Unavailable) else ""
        return InputError(
            f"the judge {self.name} at {self.endpoint.address} gives no answer{tried}: {failure}; "
            f"{n:,} of {total:,} answers are judged and kept: the same command goes on from there"
        )


def settings_of(endpoint: Endpoint) -> str:
    """What decides an answer, for the signature and for the cache."""
    return (
        f"{endpoint.provider}|model:{endpoint.model}|address:{endpoint.address.rstrip('/')}|temperature:0|"
        f"max_tokens:{MAX_NEW_TOKENS}|prompt:{digest(PROMPT, 8)}"
    )


def _times(n: int) -> str:
    return "once more" if n == 1 else f"at most {n} more times"


def _distinct(questions: Sequence[Question]) -> list[str]:
    return list(dict.fromkeys(prompt_of(question) for question in questions if not question.empty))
