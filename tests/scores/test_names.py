"""What scores are called, what they ask for, and how they are defined."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aftertune.errors import InputError
from aftertune.scores import SCORES, get, score, score_items
from aftertune.scores.definition import _read_signature
from aftertune.scores.definition import score as define
from aftertune.types import Greedy, ItemScores

# id → sign in Table 8, evidence
BUILT_IN = {
    "mean_token_logprob": (+1, {"greedy"}),
    "mean_token_entropy": (+1, {"greedy"}),
    "dropout_entropy": (+1, {"dropout"}),
    "beam_importance_weighted": (-1, {"beams"}),
    "beam_ratio": (+1, {"beams"}),
    "beam_sum": (+1, {"beams"}),
    "beam_sum_logprob": (+1, {"beams"}),
    "dropout_bleu_variance": (+1, {"dropout"}),
    "dropout_kl": (+1, {"dropout"}),
    "dropout_meteor": (+1, {"dropout"}),
    "cocoa_msp": (+1, {"greedy", "dropout"}),
    "cocoa_mte": (+1, {"greedy", "dropout"}),
    "cocoa_ppl": (+1, {"greedy", "dropout"}),
}


def test_all_of_the_papers_scores_are_there():
    assert set(BUILT_IN) <= set(SCORES.names())
    for name, (sign, needs) in BUILT_IN.items():
        entry = get(name)
        assert (entry.sign_in_paper, set(entry.needs)) == (sign, needs), name
        assert entry.formula
        assert entry.source
        assert entry.paper_name


def test_parameters_in_the_name():
    assert get("beam_ratio[k=5]").parameters == {"k": 5}
    assert get("beam_ratio[k=5]").name == "beam_ratio[k=5]"
    assert get("beam_ratio[k=None]").name == "beam_ratio"
    assert get("beam_ratio").parameters == {"k": None}
    assert get("beam_ratio").with_parameters(k=3).name == "beam_ratio[k=3]"
    assert get("cocoa_msp[similarity=chrf]").name == "cocoa_msp"
    assert get("cocoa_msp[similarity=cross_encoder:a,b/c[1]]").parameters == {
        "similarity": "cross_encoder:a,b/c[1]"
    }


def test_parameters_are_always_in_the_signature():
    assert get("beam_ratio").signature().startswith("beam_ratio|k:K|version:")
    assert get("beam_ratio[k=5]").signature().startswith("beam_ratio|k:5|version:")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("beam_ration", "unknown score 'beam_ration': did you mean beam_ratio"),
        ("beam_ration[k=5]", "unknown score 'beam_ration': did you mean beam_ratio"),
        ("beam_ratio[kk=5]", "unknown parameter of score 'beam_ratio' 'kk': did you mean k?"),
        ("beam_ratio[k=five]", "score 'beam_ratio': k=five is not of type int; write beam_ratio[k=…]"),
        ("beam_ratio[5]", "score 'beam_ratio': '5' is not a parameter; write name=value"),
        ("beam_sum[k=5]", "score 'beam_sum' has no parameters: write beam_sum"),
        ("beam_ratio[]", "unknown score 'beam_ratio[]': did you mean beam_ratio"),
    ],
)
def test_wrong_names(name, message):
    with pytest.raises(InputError, match=re.escape(message)):
        get(name)


def test_scores_whose_evidence_is_absent(make):
    evidence = make["items"](greedy=make["greedy"]([[-1.0]]))
    assert set(BUILT_IN) & set(score(evidence)) == {"mean_token_logprob", "mean_token_entropy"}
    with pytest.raises(InputError, match=r"score 'beam_ratio\[k=2\]' needs beams, which this evidence does not"):
        score(evidence, ["beam_ratio[k=2]"])
    with pytest.raises(InputError, match="score 'cocoa_msp' needs dropout, which"):
        score(evidence, ["cocoa_msp"])


def test_order_and_type_of_the_result(make):
    evidence = make["random_evidence"](0)
    assert list(score(evidence, ["beam_sum", "mean_token_logprob"])) == ["beam_sum", "mean_token_logprob"]
    assert score(evidence, []) == {}
    with pytest.raises(InputError, match="names is 'beam_sum': write a list of texts"):
        score(evidence, "beam_sum")


def test_a_score_is_defined_by_its_annotations():
    def needs_nothing_known(outputs: list) -> ItemScores: ...

    def without_default(greedy: Greedy, *, k: int) -> ItemScores: ...

    def odd_parameter(greedy: Greedy, *, k: tuple = ()) -> ItemScores: ...

    def fine(greedy: Greedy, *, share: float = 0.5, log: bool = False) -> ItemScores: ...

    with pytest.raises(TypeError, match="annotate 'outputs' with the evidence it needs, one of greedy, beams"):
        _read_signature(needs_nothing_known)
    for function in (without_default, odd_parameter):
        with pytest.raises(TypeError, match="parameter 'k' must have a default and be int, float, bool or str"):
            _read_signature(function)
    assert _read_signature(fine) == (("greedy",), {"share": 0.5, "log": False})
    with pytest.raises(ValueError, match="a sign is"):
        define(formula="", source="", sign_in_paper=2)


def test_a_score_of_ones_own(make, monkeypatch):
    monkeypatch.setattr(SCORES, "_entries", dict(SCORES.items()))

    @define(formula="quantile", source="nobody")
    def token_quantile(greedy: Greedy, *, share: float = 0.5, top: bool = False) -> ItemScores:
        value = np.nanquantile(greedy.token_logprob, 1 - share if top else share, axis=1)
        return ItemScores(value=value, reason=np.full(len(value), None))

    evidence = make["items"](greedy=make["greedy"]([[-1.0, -2.0, -3.0]]))
    name = "token_quantile[share=0.0,top=True]"
    assert score(evidence, ["token_quantile", name]) == {"token_quantile": [-2.0], name: [-1.0]}
    assert get(name).signature().startswith("token_quantile|share:0.0|top:True|version:")
    with pytest.raises(InputError, match="top=maybe is not of type bool"):
        get("token_quantile[top=maybe]")

    @define(formula="", source="")
    def one_item_too_few(greedy: Greedy) -> ItemScores:
        return ItemScores(value=[], reason=[])  # pyright: ignore[reportArgumentType]

    with pytest.raises(TypeError, match="must return ItemScores with 1 items"):
        score_items(evidence, ["one_item_too_few"])
