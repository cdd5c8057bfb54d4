"""What holds for every registered quality metric, and what `compute` refuses."""

import numpy as np
import pytest

from aftertune.errors import InputError
from aftertune.quality import QUALITY, QualityMetric, compute, quality

BUILT_IN = ["chrf_plus", "exact_match", "exact_text", "token_f1"]
OUTPUTS = ["The answer is 12", "13", "", "about 14 cats", "a 15"]
REFERENCES = [["12"], ["the 13", "31"], ["1"], ["14 dogs", "15 cats", "14 cats"], ["#### 15"]]


def test_the_built_in_metrics_are_found():
    assert set(BUILT_IN) <= set(QUALITY.names())


@pytest.mark.parametrize("name", BUILT_IN)
def test_contract(name):
    metric = QUALITY.get(name)
    value = compute(name, OUTPUTS, REFERENCES)
    assert value.shape == (5,)
    assert value.dtype == np.float64
    assert np.all((metric.range[0] <= value) & (value <= metric.range[1]))
    assert len(set(value.tolist())) > 1
    np.testing.assert_array_equal(compute(name, OUTPUTS, REFERENCES), value)
    order = [3, 0, 4, 2, 1]
    again = compute(name, [OUTPUTS[i] for i in order], [REFERENCES[i] for i in order])
    np.testing.assert_array_equal(again, value[order])
    reversed_references = compute(name, OUTPUTS, [refs[::-1] for refs in REFERENCES])
    np.testing.assert_array_equal(reversed_references, value)
    one_by_one = [compute(name, [o], [r])[0] for o, r in zip(OUTPUTS, REFERENCES, strict=True)]
    np.testing.assert_array_equal(one_by_one, value)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_reference_has_the_best_value_and_an_empty_answer_the_worst(name):
    low, high = QUALITY.get(name).range
    assert compute(name, ["red 7"], [["blue 8", "red 7"]])[0] == high
    assert compute(name, [""], [["red 7"]])[0] == low


@pytest.mark.parametrize("name", BUILT_IN)
def test_another_reference_never_hurts(name):
    fewer = compute(name, OUTPUTS, [refs[:1] for refs in REFERENCES])
    assert np.all(compute(name, OUTPUTS, REFERENCES) >= fewer)


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_items(name):
    assert compute(name, [], []).shape == (0,)


@pytest.mark.parametrize("name", BUILT_IN)
def test_entry(name):
    metric = QUALITY.get(name)
    assert metric.name == name
    assert metric.title
    assert metric.source
    assert metric.signature().startswith(name + "|")
    assert "version:" in metric.signature()


@pytest.mark.parametrize(
    ("outputs", "references", "message"),
    [
        (["a"], [], "1 outputs but 0 lists of references"),
        (["a", "b"], [["a"], []], "item 1 has no reference"),
        (["a"], ["a"], "item 0: references are a list of strings, not one string"),
        (["a", None], [["a"], ["b"]], r"outputs\[1\] is None: write a text"),
        (["a"], [["a", 3]], "item 0: the reference 3 is not a string"),
    ],
)
@pytest.mark.parametrize("name", BUILT_IN)
def test_wrong_input(name, outputs, references, message):
    with pytest.raises(InputError, match=message):
        compute(name, outputs, references)


def test_unknown_name_gives_the_nearest():
    with pytest.raises(InputError, match="unknown quality metric 'chrf_pls': did you mean chrf_plus"):
        compute("chrf_pls", ["a"], [["a"]])


def make(measure, name):
    measure.__name__ = name
    return quality(title="t", range=(0, 1), source="s", settings={"k": 2})(measure)


@pytest.fixture
def entries(monkeypatch):
    QUALITY.names()
    monkeypatch.setattr(QUALITY, "_entries", dict(QUALITY._entries))


@pytest.mark.usefixtures("entries")
def test_one_decorator_adds_a_metric():
    metric = make(lambda outputs, references: np.array([len(o) % 2 for o in outputs]), "odd_length")
    assert isinstance(metric, QualityMetric)
    assert compute("odd_length", ["a", "bb"], [["x"], ["x"]]).tolist() == [1.0, 0.0]
    assert QUALITY.get("odd_length").signature().startswith("odd_length|k:2|version:")


@pytest.mark.usefixtures("entries")
def test_a_metric_that_breaks_its_own_contract_is_an_error_of_ours():
    make(lambda outputs, references: np.array([2.0] * len(outputs)), "too_large")
    make(lambda outputs, references: np.array([0.5]), "too_few")
    with pytest.raises(ValueError, match=r"outside its range \[0, 1\]"):
        compute("too_large", ["a"], [["a"]])
    with pytest.raises(ValueError, match=r"shape \(1,\) for 2 items"):
        compute("too_few", ["a", "b"], [["a"], ["b"]])
