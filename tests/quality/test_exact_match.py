"""exact_match: what counts as the final number, by hand and on GSM8K's own answers."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.quality import compute
from aftertune.quality.exact_match import final_number

GSM8K = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k"

CASES = [
    ("#### 18", "18"),
    ("She makes $<<9*2=18>>18 a day.\n#### 18", "18"),
    ("####18", "18"),
    ("#### -5", "-5"),
    ("#### $1,000.00", "1000"),
    ("#### 1,234,567", "1234567"),
    ("#### 18 dollars (not 20)", "18"),  # the first number after the marker
    ("#### 18\n\nQuestion: and 3?\n#### 4", "18"),  # the first marker
    ("The answer is 18.", "18"),
    ("The answer is 18.50.", "18.5"),
    ("18.00", "18"),
    ("1,000.00", "1000"),
    ("Between 3 and 5, 4", "4"),
    ("first 3,4 then 5,6", "6"),  # a list, not a thousands comma
    ("12,34", "34"),
    ("$-5", "-5"),
    ("-$5", "-5"),
    ("−5 degrees", "-5"),  # the minus sign U+2212
    ("(-5)", "-5"),
    ("= -5", "-5"),
    ("10-3", "3"),  # a subtraction or a range, no sign
    ("10 - 3", "3"),
    ("10%-3", "3"),
    ("(4)-3", "3"),
    ("x-3", "3"),
    ("20%", "20"),
    ("€20", "20"),
    ("£1,500", "1500"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("0.50", "0.5"),
    ("007", "7"),
    ("3 apples", "3"),
    ("H2O", "2"),
    ("v1.2", "1.2"),
    ("99999999999999999999.1", "99999999999999999999.1"),
    ("-0", "0"),
]


@pytest.mark.parametrize(("text", "number"), CASES)
def test_final_number(text, number):
    assert final_number(text) == Decimal(number)
    assert compute("exact_match", [text], [[number]])[0] == 1.0
    assert compute("exact_match", [text], [[f"#### {number}1"]])[0] == 0.0


@pytest.mark.parametrize("text", ["", "no idea", "####", "18 ####", "#### none", "-", "$", ".", "twelve", "٣"])
def test_no_number_is_a_wrong_answer(text):
    assert final_number(text) is None
    assert compute("exact_match", [text], [["18"]]).tolist() == [0.0]


def test_any_reference_counts():
    assert compute("exact_match", ["it is 7", "it is 9"], [["6", "7.0"], ["6", "7.0"]]).tolist() == [1.0, 0.0]


def test_a_reference_without_a_number_is_refused():
    with pytest.raises(InputError, match=r"item 1: the reference 'Paris' has no number.*or exact_text"):
        compute("exact_match", ["1", "Paris"], [["1"], ["Paris"]])


@pytest.mark.skipif(not GSM8K.is_dir(), reason="no folder shared/data/gsm8k beside the project")
@pytest.mark.parametrize("split", ["train", "test"])
def test_equal_to_the_official_extraction_on_all_of_gsm8k(split):
    """grade_school_math/dataset.py: ``#### (\\-?[0-9\\.\\,]+)``, commas removed."""
    lines = (GSM8K / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")
    answers = [json.loads(line)["answer"] for line in lines if line]
    official = [re.search(r"#### (\-?[0-9\.\,]+)", a).group(1).replace(",", "") for a in answers]
    assert [final_number(a) for a in answers] == [Decimal(o) for o in official]
    assert compute("exact_match", answers, [[o] for o in official]).mean() == 1.0
    shifted = official[1:] + official[:1]
    expected = [float(Decimal(a) == Decimal(b)) for a, b in zip(official, shifted, strict=True)]
    assert compute("exact_match", answers, [[o] for o in shifted]).tolist() == expected
