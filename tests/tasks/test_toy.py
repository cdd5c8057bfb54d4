"""Toy tasks: same seed, same items; parts disjoint; grammar, answers and arithmetic right."""

import doctest
import re

import pytest

import toy_items
from aftertune.tasks import Sizes, load_task
from toy import facts, partition, sums, translation
from toy.facts import Fact
from toy.partition import splits
from toy.sums import Problem
from toy.translation import Phrase, Sentence

TASKS = [translation, facts, sums]
IMPERFECT = {"toy_translation": {"pidgin_share": 0.5}, "toy_qa": {"noise": 0.5}, "toy_sums": {"noise": 0.5}}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)
def test_shipped_items_are_what_the_generator_makes(task):
    assert (toy_items.SHIPPED / f"{task.NAME}.jsonl").read_bytes() == toy_items.jsonl(task).encode()
    shipped = load_task(task.NAME, sizes=Sizes(**partition.SIZES))
    for split, made in splits(task.generate).items():
        assert set(getattr(shipped, split)) == set(made)
    assert shipped.notes == ()


def test_a_folder_has_the_shipped_items_and_nothing_else():
    assert sorted(path.stem for path in toy_items.SHIPPED.iterdir()) == sorted(task.NAME for task in TASKS)


@pytest.mark.parametrize("module", [*TASKS, partition], ids=lambda module: module.__name__)
def test_examples_of_the_generator(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)
def test_same_seed_gives_the_same_items_and_another_seed_others(task):
    assert task.generate(50, 3) == task.generate(50, 3)
    assert {e.prompt for e in task.generate(50, 3)} != {e.prompt for e in task.generate(50, 4)}
    assert task.generate(80, 3)[:50] == task.generate(50, 3), "more items: the first ones stay"


def test_first_items_of_seed_0_are_what_they_were():
    """Stored, so that a change of the generator (which would make the shipped models strangers) is seen."""
    first = {task.NAME: splits(task.generate)["test"][0] for task in TASKS}
    assert {name: (e.id, e.prompt, e.references) for name, e in first.items()} == GOLDEN


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)
def test_splits_have_their_sizes_and_share_no_prompt_with_each_other_or_with_pretraining(task):
    made = list(splits(task.generate).values())
    assert [len(split) for split in made] == [1000, 100, 1000]
    pretraining = task.generate(3000, 17, part="pretraining")
    parts = [{e.prompt for e in part} for part in (*made, splits(task.generate, 5)["train"], pretraining)]
    assert [len(part) for part in parts] == [1000, 100, 1000, 1000, 3000], "prompts are distinct"
    train, validation, test, other_train, pretrained = parts
    assert not (train | validation | test | other_train) & pretrained
    assert not test & (train | validation | other_train)
    assert not validation & (train | other_train)
    ids = [e.id for split in made for e in split]
    assert len(set(ids)) == 2100


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)
def test_imperfect_pretraining_changes_about_the_asked_share_of_targets(task):
    clean = dict(_key(e) for e in task.generate(2000, 1, part="pretraining"))
    dirty = dict(_key(e) for e in task.generate(2000, 2, part="pretraining", **IMPERFECT[task.NAME]))
    wrong = [_is_wrong(task, prompt, target) for prompt, target in dirty.items()]
    assert not any(_is_wrong(task, prompt, target) for prompt, target in clean.items())
    assert 0.4 < sum(wrong) / len(wrong) < 0.6


def _key(example):
    return example.prompt, example.target


def _is_wrong(task, prompt, target):
    """Judged from the prompt alone, by other means than the generator's."""
    if task is sums:
        working, result = target.split(" = ")
        return _left_to_right(working) != int(result)
    if task is facts:
        return _look_up(prompt) != target
    # Inflected verbs end in a tense; a bare stem last, or a verb inside, is pidgin.
    return re.search(r"(e|ita|oru)n?$", target) is None or target.split()[-1] in _PIDGIN_ENDINGS


_PIDGIN_ENDINGS = {"multar", "nuk", "jerin", "manu"} | set(translation.INANIMATE.values()) | {
    *translation.ANIMATE.values(), *(verb.stem for verb in translation.VERBS.values())
}  # fmt: skip


def test_prompts_out_of_reach_are_an_error():
    with pytest.raises(ValueError, match="fewer than 5 distinct prompts"):
        partition.draw("one", lambda rng: ("the only prompt", "x"), 5, 0, partition.part_of("the only prompt"))


# ---- translation ---------------------------------------------------------------------------------------


def test_sentence_translated_by_hand():
    sentence = Sentence(
        subject=Phrase(noun="woman", adjective="old", plural=True),
        verb="see",
        tense="past",
        negated=True,
        object=Phrase(noun="bird", determiner="two", adjective="small", plural=True),
        place=("near", Phrase(noun="river")),
        adverb="yesterday",
    )
    assert translation.english(sentence) == "the old women did not see two small birds near the river yesterday"
    # yesterday, woman-PL old-ANIM-PL, river-LINK-LOC near, bird-LINK-ACC small-ANIM-ACC two, NEG-see-PAST-PL
    assert translation.tovali(sentence) == "jerin selanari vetari lurimuke pul tivaram mikam ves neviditan"
    assert translation.pidgin(sentence) == "vet selan ne vid ves mik tivar pul lurim jerin"


@pytest.mark.parametrize(
    ("sentence", "english", "tovali"),
    [
        (
            Sentence(subject="he", verb="find", object=Phrase(noun="tower", determiner="a", adjective="old")),
            "he finds an old tower",
            "ta turmom vetum on trove",  # a vowel stem takes no link, its adjective agrees in -u- all the same
        ),
        (
            Sentence(subject="they", verb="sleep", tense="future", place=("in", Phrase(noun="city", plural=True))),
            "they will sleep in the cities",
            "tar urvanurike dormorun",
        ),
        (
            Sentence(subject=Phrase(noun="wolf", determiner="three", plural=True), verb="wait", adverb="now"),
            "three wolves wait now",
            "nuk grau tris atenden",  # singular after a numeral, the verb plural
        ),
        (
            Sentence(
                subject="we", verb="sell", tense="past", object=Phrase(noun="lamp", adjective="red", plural=True)
            ),
            "we sold the red lamps",
            "min lumisurim rudurim venditan",
        ),
        (
            Sentence(subject="she", verb="laugh", negated=True, place=("behind", Phrase(noun="tree"))),
            "she does not laugh behind the tree",
            "ti arbekuke tam neridole",
        ),
    ],
)  # fmt: skip
def test_rules_of_the_grammar(sentence, english, tovali):
    assert translation.english(sentence) == english
    assert translation.tovali(sentence) == tovali


def test_sources_are_short_and_words_are_unambiguous():
    for example in translation.generate(500, 0):
        source = example.prompt.removeprefix("translate: ").removesuffix(" =>").split()
        assert 3 <= len(source) <= 10
    words = [
        *translation.ANIMATE.values(), *translation.INANIMATE.values(), *translation.ADJECTIVES.values(),
        *translation.PRONOUNS.values(), *translation.NUMERALS.values(), *translation.ADVERBS.values(),
        *(verb.stem for verb in translation.VERBS.values()),
    ]  # fmt: skip
    assert len(set(words)) == len(words)


# ---- facts ---------------------------------------------------------------------------------------------

_FACT = re.compile(r"(\w+) (lives in|works as a|owns a|likes|was born in|hates) ([\w ]+)\.")
_VERB = {
    "live": "lives in",
    "job": "works as a",
    "own": "owns a",
    "like": "likes",
    "born": "was born in",
    "hate": "hates",
}


def _look_up(prompt):
    """Answer a question by reading the prompt."""
    told, question = prompt.removeprefix("facts: ").removesuffix("? =>").split(" question: ")
    known = _FACT.findall(told)
    if question.startswith("who "):
        answers = [person for person, verb, value in known if question == f"who {verb} {value}"]
    else:
        wanted = next(verb for word, verb in _VERB.items() if word in question.split())
        answers = [value for person, verb, value in known if verb == wanted and person in question.split()]
    (answer,) = answers
    return answer


def test_prompt_by_hand():
    told = [
        Fact(person="Anna", relation="city", value="Oslo"),
        Fact(person="Ben", relation="food", value="hot tea"),
    ]
    assert (
        facts.prompt(told, told[1])
        == "facts: Anna lives in Oslo. Ben likes hot tea. question: what does Ben like? =>"
    )
    assert facts.prompt(told, told[0], for_person=True).endswith("question: who lives in Oslo? =>")


def test_every_question_has_one_answer_in_its_facts_of_one_to_three_words():
    kinds = set()
    for example in facts.generate(2000, 0, part="test"):
        assert _look_up(example.prompt) == example.target
        assert 1 <= len(example.target.split()) <= 3
        kinds.add(example.prompt.split(" question: ")[1].split()[0])
    assert kinds == {"who", "what", "where"}


def test_pretraining_knows_four_relations_and_the_task_six():
    told = {
        part: " ".join(e.prompt for e in facts.generate(500, 0, part=part)) for part in ("pretraining", "test")
    }
    assert "hates" in told["test"]
    assert "was born in" in told["test"]
    assert "hate" not in told["pretraining"]
    assert "born" not in told["pretraining"]


# ---- sums ----------------------------------------------------------------------------------------------


def _left_to_right(working):
    tokens = working.split()
    total = int(tokens[0])
    for operator, number in zip(tokens[1::2], tokens[2::2]):
        total = {"+": total + int(number), "-": total - int(number), "*": total * int(number)}[operator]
    return total


def test_working_by_hand():
    assert Problem(start=4, steps=(("*", 3), ("-", 5))).working() == "4 * 3 - 5 = 7"
    assert Problem(start=4, steps=(("*", 3), ("-", 5))).working(8) == "4 * 3 - 5 = 8"


def test_arithmetic_is_right_and_uses_the_numbers_of_the_story():
    lengths = set()
    for example in sums.generate(2000, 0, part="test"):
        working, result = example.target.split(" = ")
        assert _left_to_right(working) == int(result) >= 0
        assert re.findall(r"\d+", example.prompt) == re.findall(r"\d+", working)
        lengths.add(len(working.split()))
    assert lengths == {3, 5}


GOLDEN = {
    "toy_qa": (
        "toy-qa-test-000000",
        "facts: Olga works as a judge. Felix hates cold tea. Felix likes spicy rice. question: what "
        "is the job of Olga? =>",
        ("judge",),
    ),
    "toy_sums": (
        "toy-sums-test-000000",
        "problem: Anna has 11 apples. Then Anna gives away 6. Anna breaks 1. How many apples does Anna have? =>",
        ("11 - 6 - 1 = 4",),
    ),
    "toy_translation": (
        "toy-translation-test-000000",
        "translate: he wants the white men quickly =>",
        ("rapid ta dorekarim albarim vole",),
    ),
}
