"""exact_match: what counts as the final number, by hand and on GSM8K's own answers."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.quality import QUALITY, compute
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

# what is written, what a person reads (None: no number); `harness` says what lm-evaluation-harness reads
WRITTEN = [
    # markers
    ("#### Step 1: 3 + 4 = 7\n#### Step 2: 7 * 2 = 14\n#### Answer\n14", "14"),
    ("#### 1. Add: 3 + 4 = 7\n#### 2. Double: 7 * 2 = 14\n#### Answer\n\nSo the total is 14 for 2 days.", "14"),
    ("#### 1. Add: 3 + 4 = 7\n#### 2. Double: 7 * 2 = 14\n#### 14", "14"),
    ("#### Step 1: 3 + 4 = 7\n#### Step 2: double it, so 14", "14"),
    ("#### Final answer for 3 boxes:\n14", "14"),
    ("#### Answer: 14 apples in 2 boxes", "14"),
    ("#### The answer is 7 apples in 2 boxes", "7"),
    ("#### The answer is 7\n\nQuestion: and 3?\n#### The answer is 4", "7"),
    ("#### She has 3 boxes of 4, so 12", "12"),
    ("#### Answer\nShe buys 3 boxes of 4. That gives 12.", "12"),
    ("#### 2*9=18", "18"),
    ("#### 5 - 3 = 2", "2"),
    ("#### 5 apples - 3 apples = 2 apples", "2"),
    ("#### 16 = 20 - 4", "16"),
    ("#### (3 + 4) * 2 = 14", "14"),
    ("#### $18 (2*10=20, less 2)", "18"),
    ("#### 18, since 2*10=20 and 20-2=18", "18"),
    ("#### 10/3 ≈ 3.33", "3.33"),
    ("#### x = 7", "7"),
    ("#### - 5", "-5"),
    ("####\n18", "18"),
    ("#### **18**", "18"),
    ("#### \\text{18}", "18"),
    ("#### 18 - that is all", "18"),
    ("#### 5 - 3", None),
    ("#### 2*9", None),
    ("#### 3-5", None),
    ("#### 3–5", None),
    # boxes
    ("$\\boxed{9{,}500}$", "9500"),
    ("So \\boxed{18} dollars for 3 days.", "18"),
    ("\\boxed{x = 18 \\text{ dollars}} in 2 days", "18"),
    ("first \\boxed{3}, then \\boxed{\\frac{3}{4}}", "3/4"),
    ("#### Step 2\nso $\\boxed{14}$ for 2", "14"),
    ("\\boxed{\\text{none}} of 3", None),
    # groups of digits
    ("₹1,00,000", "100000"),
    ("#### 1,00,000", "100000"),
    ("12,34,567.50 rupees", "1234567.5"),
    ("1,234,567.89", "1234567.89"),
    ("9\\,500", "9500"),
    ("1,\\!000", "1000"),
    *((f"9{space}500", "9500") for space in "\u00a0\u202f\u2009\u2007"),
    ("1\u202f234\u202f567 people", "1234567"),
    ("9’500", "9500"),
    ("12 345", "345"),  # an ordinary space parts two numbers
    ("in 2020\u00a0500 people", "500"),
    # signs
    *((f"{minus}5", "-5") for minus in "-−–‒﹣－"),
    ("– 5", "5"),
    ("it fell to –5 degrees", "-5"),
    ("x = - 5", "-5"),
    ("-\\$5", "-5"),
    ("-$ 5", "-5"),
    ("答案是-5。", "-5"),
    ("3–5", "5"),
    ("(5)", "5"),
    # digits of other scripts
    ("１８", "18"),
    ("＃＃＃＃ １，０００", "1000"),
    ("￥５００", "500"),
    ("分别是100，200，300", "300"),
    ("٣", "3"),
    ("١٬٢٣٤٫٥", "1234.5"),
    ("१८", "18"),
    # fractions and exponents
    ("#### 3/4", "3/4"),
    ("3 / 4", "3/4"),
    ("\\frac{3}{4}", "3/4"),
    ("-\\dfrac34", "-3/4"),
    ("1\\frac{1}{2}", "3/2"),
    ("1 1/2 hours", "3/2"),
    ("½", "1/2"),
    ("1½", "3/2"),
    ("#### 10/2=5", "5"),
    ("1.5e3", "1500"),
    ("1e3", "1000"),
    ("2E-2", "0.02"),
    ("5e", "5"),
    # units
    ("18.", "18"),
    ("$18", "18"),
    ("18%", "18"),
    ("18\\%", "18"),
    ("18^\\circ", "18"),
    ("5 m²", "5"),
    ("US$5", "5"),
    # no numbers that can be compared
    ("3/0", None),
    ("on 2024-05-01", None),
    ("on 05/12/2024", None),
    ("at 10:30", None),
    ("a ratio of 3:2", None),
    ("version 1.2.3", None),
    ("10^3", None),
    ("10³", None),
    ("2**3", None),
]


@pytest.mark.parametrize(("text", "number"), CASES)
def test_final_number(text, number):
    assert final_number(text) == Fraction(number)
    assert compute("exact_match", [text], [[number]])[0] == 1.0
    assert compute("exact_match", [text], [[f"#### {number}1"]])[0] == 0.0


def harness(text):
    """What gsm8k of lm-evaluation-harness reads, strictly and flexibly, without commas, $ and a last full stop."""
    strict = [match[1] for match in re.finditer(r"#### (\-?[0-9\.\,]+)", text)][:1]
    flexible = [a or b for a, b in re.findall(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", text)][-1:]
    return [re.sub(r"[,$]|\.$", "", found) for found in strict + flexible]


@pytest.mark.parametrize(("text", "number"), WRITTEN)
def test_what_models_write(text, number):
    expected = None if number is None else Fraction(number)
    assert final_number(text) == expected
    assert compute("exact_match", [text], [["18"]])[0] == (number == "18")
    if number in harness(text):  # where it reads what a person reads, so do we: what it accepts is right here too
        assert compute("exact_match", [text], [[number]])[0] == 1


def test_the_harness_is_right_about_some_of_them():
    agreeing = [text for text, number in (*CASES, *WRITTEN) if number in harness(text)]
    assert {"#### 1,00,000", "#### 16 = 20 - 4", "#### 18, since 2*10=20 and 20-2=18", "18."} <= set(agreeing)
    assert not {"#### 3/4", "–5", "9\\,500"} & set(agreeing)


@pytest.mark.parametrize("reference", ["0.75", "3/4", "#### 6/8", "75e-2"])
def test_a_fraction_equals_its_value(reference):
    assert compute("exact_match", ["#### 3/4", "#### 3", "#### 4"], [[reference]] * 3).tolist() == [1, 0, 0]


def test_a_reference_that_is_a_time_is_refused():
    with pytest.raises(InputError, match=r"item 0: the reference '10:30' has no number"):
        compute("exact_match", ["10:30"], [["10:30"]])


def test_the_signature_says_how_numbers_are_read():
    assert QUALITY.get("exact_match").signature().startswith("exact_match|marker:####|numbers:2|refs:any|version:")


GSM8K_ANSWERS = [
    ("Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nIn all 48+24 = <<48+24=72>>72 clips.\n#### 72", "72"),
    ("He pays 80,000+50,000=$<<80000+50000=130000>>130,000\nSo he made $70,000\n#### 70,000", "70000"),
    ("It drops 3-8=<<3-8=-5>>-5 degrees.\n#### -5", "-5"),
    ("1/2 of 5 is 5/2=<<5/2=2.5>>2.5 dozen.\n#### 2.5", "2.5"),
    ("It is (60)/(4) = <<60/4=15>>15\n#### 5,600,000", "5600000"),
]


@pytest.mark.parametrize(("answer", "number"), GSM8K_ANSWERS)
def test_answers_in_the_form_of_gsm8k(answer, number):
    assert final_number(answer) == Fraction(number)
    assert harness(answer)[0] == number


@pytest.mark.parametrize("text", ["", "no idea", "####", "18 ####", "#### none", "-", "$", ".", "twelve", "²"])
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
    assert [final_number(a) for a in answers] == [Fraction(o) for o in official]
    assert compute("exact_match", answers, [[o] for o in official]).mean() == 1.0
    shifted = official[1:] + official[:1]
    expected = [float(Fraction(a) == Fraction(b)) for a, b in zip(official, shifted, strict=True)]
    assert compute("exact_match", answers, [[o] for o in shifted]).tolist() == expected
