"""The look of the quadrants, the same in the scheme and in the scatter."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

OVER, UNDER, CONCORDANT = "#C65200", "#0067A8", "#555555"  # vermilion and blue stay apart for all eyes


def tint(axes: Axes) -> None:
    """Colour the two discordant quadrants, and draw the lines of no change; the limits must be set."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    axes.add_patch(Rectangle((left, 0), -left, top, color=OVER, alpha=0.08, linewidth=0, zorder=0))
    axes.add_patch(Rectangle((0, bottom), right, -bottom, color=UNDER, alpha=0.08, linewidth=0, zorder=0))
    axes.axhline(0, color="#8A8A8A", linewidth=0.6, zorder=1)
    axes.axvline(0, color="#8A8A8A", linewidth=0.6, zorder=1)
