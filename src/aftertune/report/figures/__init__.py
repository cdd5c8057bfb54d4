"""Figures, one file for each kind. The only package that imports matplotlib, and never pyplot."""

from aftertune.report.figures.draw import draw
from aftertune.report.figures.drawing import Drawing

__all__ = ["Drawing", "draw"]
