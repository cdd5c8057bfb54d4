"""What is measured: what is wanted, what is there, what is missing, and what judging it costs.

Evidence is named by a digest of all that it depends on, so that the same command again finds it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Generic, TypeVar

from aftertune.evidence import with_parts
from aftertune.files.atomic import readable
from aftertune.files.evidence import read_answers, read_notes
from aftertune.generate.collect import CollectOptions
from aftertune.generate.prompts import PromptOptions, prompt_identity, prompt_ids
from aftertune.judges import Judge, Question, questions_of
from aftertune.judges.cost import Batch, Forecast, forecast, longest_answers
from aftertune.measure.evidence import TrainingSet, is_measured, measure, measure_similarity, whole
from aftertune.measure.reporter import Reporter
from aftertune.models.dropout import NO_DROPOUT, DropoutSetting, parse_dropout
from aftertune.models.load import LoadOptions
from aftertune.models.loaded import LoadedModel
from aftertune.options import Options
from aftertune.signature import digest
from aftertune.tasks import Splits, Task
from aftertune.types import Evidence, Example

EVIDENCE_VERSION = 3
"""Counts up when the same settings give other evidence; 3: keys cover what the model reads, token by token."""


def collect_options(options: Options, task: Task) -> CollectOptions:
    """What is generated for each item of a task."""
    has_dropout = options.dropout != NO_DROPOUT
    return CollectOptions(
        beams=options.beams,
        dropout_samples=options.dropout_samples if has_dropout else 0,
        max_new_tokens=options.max_new_tokens or task.max_new_tokens,
        batch_size=options.batch_size,
        seed=options.seed,
        dropout=parse_dropout(options.dropout) if has_dropout else DropoutSetting(),
        prompts=PromptOptions(chat=options.chat, too_long=options.long_prompts),
    )


def load_options(options: Options) -> LoadOptions:
    """How weights are loaded."""
    return LoadOptions(dtype=options.dtype, device=options.device, trust_remote_code=options.trust_remote_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Which row of the results a checkpoint is: the key columns of its records."""

    model: str
    task: str
    seed: int
    epoch: float
    setting: str = "default"
    selected: bool = False
    split: str = "test"

    @property
    def label(self) -> str:
        """The checkpoint and the split, on the screen."""
        when = "before fine-tuning" if self.epoch == 0 else f"epoch {self.epoch:.4g}"
        split = "" if self.split == "test" else f" · {self.split}"
        return f"{self.place} · {when}{split}"

    @property
    def place(self) -> str:
        """Model, task, setting and seed, for messages."""
        setting = "" if self.setting == "default" else f" · {self.setting}"
        return f"{self.model} · {self.task}{setting} · seed {self.seed}"

    @property
    def slug(self) -> str:
        """Readable beginning of file names."""
        setting = "" if self.setting == "default" else f"-{self.setting}"
        split = "" if self.split == "test" else f"-{self.split}"
        names = f"{readable(self.model, 40)}-{readable(self.task, 40)}{readable(setting, 40)}"
        return f"{names}{split}-seed{self.seed}-epoch{self.epoch:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Digests of what a checkpoint reads and of how it is made text; evidence belongs to these.

    Attributes
    ----------
    tokenizer : of the tokenizer, its chat template, and what the generation config says of tokens: all that makes
        prompts into token ids and token ids into answers.
    items : split → of the token ids of each item's prompt.
    """

    tokenizer: str
    items: Mapping[str, str]

    @classmethod
    def of(cls, loaded: LoadedModel, splits: Mapping[str, Sequence[Example]], options: PromptOptions) -> Reading:
        """What `loaded`, perhaps without weights (`load_reader`), reads of the items of each split."""
        own = digest([prompt_identity(loaded.tokenizer, options.chat), asdict(loaded.rules)])
        ids = {
            split: [(e.id, prompt_ids(loaded, e.asked, options.chat, f"item {e.id!r}")) for e in examples]
            for split, examples in splits.items()
        }
        return cls(tokenizer=own, items={split: digest([own, read]) for split, read in ids.items()})


def evidence_key(slug: str, weights: str, read: str, options: CollectOptions) -> str:
    """Folder name of the evidence of some weights on some items; the batch size changes nothing in it.

    Parameters
    ----------
    read : digest of the items as the model reads them (`Reading.items`).
    """
    asked = {name: value for name, value in asdict(options).items() if name != "batch_size"}
    return f"{slug}-{digest([weights, read, asked, EVIDENCE_VERSION], 12)}"


def items_digest(examples: Sequence[Example]) -> str:
    """Digest of everything that is known of the items."""
    return digest([asdict(example) for example in examples])


def item_ids(splits: Splits) -> dict[str, list[str]]:
    """Split → ids of its items; "selected" → those that the task chose from a larger data set, if it did."""
    names = ("train", "validation", "test")
    found = {name: [example.id for example in getattr(splits, name)] for name in names}
    found["selected"] = list(splits.selected)
    return {name: ids for name, ids in found.items() if ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A folder of evidence, and the settings that it is collected with."""

    folder: Path
    options: CollectOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One checkpoint measured on the items of one split.

    Attributes
    ----------
    label : says on the screen what is measured.
    what : begins the notes.
    key : of all of the evidence.
    parts : where the evidence lies. The first holds greedy outputs and embeddings; a second one, if any, dropout
        samples.
    quality : the task's metric.
    training : items to measure the similarity to; None for none.
    """

    label: str
    what: str
    split: str
    items: Sequence[Example]
    key: str
    parts: tuple[Part, ...]
    quality: str
    training: TrainingSet | None = None

    @property
    def folder(self) -> Path:
        """Where greedy outputs, embeddings and prompts lie."""
        return self.parts[0].folder

    @property
    def similarity(self) -> Path | None:
        """File of the similarity to the training set."""
        return None if self.training is None else self.folder / f"similarity-{self.training.digest}.parquet"

    def is_done(self) -> bool:
        """Whether nothing is missing."""
        has_similarity = self.similarity is None or self.similarity.exists()
        return has_similarity and all(is_measured(part.folder) for part in self.parts)

    def complete(self, loaded: LoadedModel, reporter: Reporter) -> None:
        """Measure what is missing."""
        for part in self.parts:
            if not is_measured(part.folder):
                kind, beside = ("decoding", None) if part.options.greedy else ("dropout samples", self.folder)
                reporter.stage(f"{self.label}: {kind}", len(self.items))
                measure(
                    part.folder,
                    loaded,
                    self.items,
                    part.options,
                    self.what,
                    reporter,
                    quality=self.quality,
                    beside=beside,
                )
        if self.training is not None and self.similarity is not None and not self.similarity.exists():
            reporter.stage(f"{self.label}: similarity to the training items", len(self.training.examples))
            measure_similarity(self.similarity, loaded, self.training, self.parts[0].options, reporter)

    def evidence(self) -> Evidence:
        """The evidence of all parts, once it is measured."""
        return reduce(with_parts, (whole(part.folder) for part in self.parts))

    def questions(self) -> list[Question]:
        """The answers for the judge; where there are none yet, some that are as long as answers may become."""
        if not is_measured(self.folder):
            return longest_answers(self.items, self.parts[0].options.max_new_tokens)
        by_id = {example.id: example for example in self.items}
        answers = read_answers(self.folder)
        return questions_of([by_id[item] for item in answers], list(answers.values()))


K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist(Generic[K]):
    """The checkpoints that a command, or one training run, measures.

    Attributes
    ----------
    wanted : checkpoint → its measurements, one for each split.
    undecided : how many more checkpoints there may be, once early stopping has decided.
    """

    wanted: Mapping[K, Sequence[Measurement]]
    undecided: int = 0

    def missing(self) -> list[K]:
        """Checkpoints of which something is missing."""
        return [key for key, measurements in self.wanted.items() if not all(one.is_done() for one in measurements)]

    def folders(self) -> list[Path]:
        """Every folder of evidence."""
        return [part.folder for some in self.wanted.values() for one in some for part in one.parts]

    def notes(self) -> list[str]:
        """What a reader must know of the evidence."""
        return [note for folder in self.folders() for note in read_notes(folder)]


def judging_cost(judge: Judge | None, worklists: Iterable[Worklist]) -> Forecast | None:
    """What judging will cost at most, before anything is trained, decoded or sent; None where nobody is asked.

    Evidence that several worklists share, such as that before fine-tuning, counts once. A checkpoint that early
    stopping has yet to select counts as one more.
    """
    return None if judge is None else forecast(judge, _batches(worklists))


def _batches(worklists: Iterable[Worklist]) -> Iterator[Batch]:
    seen: set[tuple[Path, ...]] = set()
    for worklist in worklists:
        for measurements in worklist.wanted.values():
            folders = tuple(one.folder for one in measurements)
            if folders not in seen:
                seen.add(folders)
                yield Batch(questions=[question for one in measurements for question in one.questions()])
        if worklist.undecided:
            fullest = max(worklist.wanted.values(), key=lambda some: sum(len(one.items) for one in some))
            items = [item for one in fullest for item in one.items]
            most = longest_answers(items, fullest[0].parts[0].options.max_new_tokens)
            yield Batch(questions=most, checkpoints=worklist.undecided)
