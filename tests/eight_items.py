"""Eight items at three checkpoints, and every count of the item-level tables of them, worked out by hand.

    item        A  B  C  D  E  F  G  H
    quality     0  0  1  1  2  3  3  4    epoch 1
                0  1  1  0  3  0  1  4    epoch 2
                1  1  2  0  2  2  4  3    epoch 3
    confidence  1  3  2  2  5  4  6  6    epoch 1
                2  3  1  4  5  6  3  5    epoch 2
                0  6  5  5  3  4  7  4    epoch 3

Outputs are such that an equal output has an equal quality; A and C (1 → 2) and D (2 → 3) have equal qualities with
different outputs.
"""

from __future__ import annotations

import numpy as np

IDS = list("ABCDEFGH")

QUALITY = {
    1: np.array([0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0]),
    2: np.array([0.0, 1.0, 1.0, 0.0, 3.0, 0.0, 1.0, 4.0]),
    3: np.array([1.0, 1.0, 2.0, 0.0, 2.0, 2.0, 4.0, 3.0]),
}

CONFIDENCE = {
    1: np.array([1.0, 3.0, 2.0, 2.0, 5.0, 4.0, 6.0, 6.0]),
    2: np.array([2.0, 3.0, 1.0, 4.0, 5.0, 6.0, 3.0, 5.0]),
    3: np.array([0.0, 6.0, 5.0, 5.0, 3.0, 4.0, 7.0, 4.0]),
}

OUTPUT = {
    1: ["a1", "b1", "c1", "d1", "e1", "f1", "g1", "h"],
    2: ["a2", "b", "c2", "d2", "e2", "f2", "g2", "h"],
    3: ["a3", "b", "c3", "d3", "e3", "f3", "g3", "h3"],
}

# Changes of quality and confidence:
#           A   B   C   D   E   F   G   H
# 1 → 2 dq  0  +1   0  −1  +1  −3  −2   0
#       dc +1   0  −1  +2   0  +2  −3  −1
# 2 → 3 dq +1   0  +1   0  −1  +2  +3  −1
#       dc −2  +3  +4  +1  −2  −2  +4  −1
# 1 → 3 dq +1  +1  +1  −1   0  −1  +1  −1
#       dc −1  +3  +3  +3  −2   0  +1  −2

QUADRANTS = {
    # Over-confident D and F; tied A, C, H (quality), B, E (confidence); G fell in both.
    (1, 2): {"n": 8, "concordant": 6, "overconfident": 2, "underconfident": 0, "tied": 5},
    # Under-confident A and F; tied B and D (quality); C and G rose in both, E and H fell in both.
    (2, 3): {"n": 8, "concordant": 6, "overconfident": 0, "underconfident": 2, "tied": 2},
    # Over-confident D, under-confident A; tied E (quality) and F (confidence); B, C, G rose in both, H fell.
    (1, 3): {"n": 8, "concordant": 6, "overconfident": 1, "underconfident": 1, "tied": 2},
}

DIRECTION = {
    # Not increased: B, C, E, G, H. Increased without quality: A, D, F.
    (1, 2): {"confidence_not_increased": 5, "increased_quality_not_improved": 3, "both_increased": 0},
    # Not increased: A, E, F, H. Increased without quality: B, D. Both: C, G.
    (2, 3): {"confidence_not_increased": 4, "increased_quality_not_improved": 2, "both_increased": 2},
}

MEAN_DIRECTION = {
    # Per cent of 1 → 2 and 2 → 3: (62.5 + 50) / 2, (37.5 + 25) / 2, (0 + 25) / 2.
    "transitions": 2,
    "n": 16,
    "confidence_not_increased": 56.25,
    "increased_quality_not_improved": 31.25,
    "both_increased": 12.5,
}

PAIRS = {
    # 1 → 2. Relatively correlated at epoch 1, the worse item first, and what they become:
    #   AC case 1 (0 < 1, 2 > 1)   AD tied (0 = 0)            AE stays (0 < 3, 2 < 5)   AF tied (0 = 0)
    #   AG stays (0 < 1, 2 < 3)    AH stays (0 < 4, 2 < 5)
    #   BE stays (1 < 3, 3 < 5)    BF case 2 (1 > 0, 3 < 6)   BG tied (1 = 1, 3 = 3)    BH stays (1 < 4, 3 < 5)
    #   CE stays (1 < 3, 1 < 5)    CF case 2 (1 > 0, 1 < 6)   CG tied (1 = 1)           CH stays (1 < 4, 1 < 5)
    #   DE stays (0 < 3, 4 < 5)    DF tied (0 = 0)            DG case 1 (0 < 1, 4 > 3)  DH stays (0 < 4, 4 < 5)
    #   EG both flip (3 > 1, 5 > 3)    EH tied (5 = 5)        FH case 1 (0 < 4, 6 > 5)
    # Not among them: AB, CD, FG (quality tied), BC, BD, EF (confidence the other way), GH (confidence tied).
    # Case 1 without a change: AC by quality (A rose, C fell, both with other outputs); DG not at all (both changed
    # in quality); FH by both (H fell with the same output).
    (1, 2): {
        "n_correlated": 21,
        "stays": 9,
        "case1": 3,
        "both_flip": 1,
        "case2": 2,
        "n_tied": 6,
        "output_unchanged": 1,
        "quality_unchanged": 2,
    },
    # 2 → 3. Relatively correlated at epoch 2, the worse item first (D is worse than B, G is worse than E):
    #   AB tied (1 = 1)            AE stays (1 < 2, 0 < 3)    AG stays (1 < 4, 0 < 7)    AH stays (1 < 3, 0 < 4)
    #   DE case 1 (0 < 2, 5 > 3)   DH case 1 (0 < 3, 5 > 4)
    #   BE case 1 (1 < 2, 6 > 3)   BH case 1 (1 < 3, 6 > 4)
    #   CE tied (2 = 2)            CH case 1 (2 < 3, 5 > 4)
    #   GE both flip (4 > 2, 7 > 3)    GH both flip (4 > 3, 7 > 4)
    # F, of the lowest quality, has the highest confidence; A and D are above C in confidence; D is above B and G;
    # E and H are tied in it.
    # Case 1 without a change: DE and DH by quality (D rose at quality 0, with another output; E and H changed); BE
    # and BH by both (B rose with the same output); CH not at all (both changed in quality).
    (2, 3): {
        "n_correlated": 12,
        "stays": 3,
        "case1": 5,
        "both_flip": 2,
        "case2": 0,
        "n_tied": 2,
        "output_unchanged": 2,
        "quality_unchanged": 4,
    },
}

MEAN_PAIR_SHARES = {
    # Of 15 untied pairs and of 10: (9/15 + 3/10) / 2, (3/15 + 5/10) / 2, (1/15 + 2/10) / 2, (2/15 + 0) / 2.
    "transitions": 2,
    "stays": 0.45,
    "case1": 0.35,
    "both_flip": 2 / 15,
    "case2": 1 / 15,
}


def output_same(before: int, after: int) -> np.ndarray:
    """(8,) whether the outputs are the same at two epochs."""
    return np.array([a == b for a, b in zip(OUTPUT[before], OUTPUT[after])])


def quality_same(before: int, after: int) -> np.ndarray:
    """(8,) whether the qualities are the same at two epochs."""
    return QUALITY[before] == QUALITY[after]
