"""Scores can be told apart: by colour, also with a colour deficiency, and without colour."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aftertune.report.palette import LOOKS, in_order, looks

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "ordinary": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson (2020): a space in which equal distances look equal; black and white are 1 apart."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return axes @ np.cbrt(cones @ np.clip(rgb, 0, 1))


def test_oklab_of_white_and_black() -> None:
    np.testing.assert_allclose(oklab(linear("#FFFFFF")), [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(oklab(linear("#000000")), 0, atol=1e-9)


@pytest.mark.parametrize(("vision", "least"), [("ordinary", 0.13), *((name, 0.08) for name in list(VISION)[1:])])
def test_any_two_scores_differ_in_colour(vision: str, least: float) -> None:
    seen = {name: oklab(VISION[vision] @ linear(look.colour)) for name, look in LOOKS.items()}
    distance = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(seen, 2)}
    closest = min(distance, key=lambda pair: distance[pair])
    assert distance[closest] > least, closest


def test_any_two_scores_differ_without_colour() -> None:
    marks = [(look.marker, look.filled) for look in looks([*LOOKS, *(f"s{i}" for i in range(14))]).values()]
    assert len(set(marks)) == len(marks)


def test_colours_are_dark_enough_for_white_paper() -> None:
    for name, look in LOOKS.items():
        assert oklab(linear(look.colour))[0] < 0.78, name


def test_looks_do_not_depend_on_the_company() -> None:
    alone, together = looks(["cocoa_msp"]), looks([*LOOKS, "mine", "theirs"])
    assert alone["cocoa_msp"] == together["cocoa_msp"]
    assert looks(["theirs", "mine"]) == looks(["mine", "theirs"])


def test_many_unknown_scores_all_differ() -> None:
    found = looks([*LOOKS, *(f"score_{i}" for i in range(168))])
    assert len(set(found.values())) == len(found) == 181


def test_order() -> None:
    assert in_order(["z", "cocoa_msp", "a", "beam_sum", "z"]) == ["beam_sum", "cocoa_msp", "a", "z"]
