"""A map as a picture: passages as points in the colours of their topics, with as many labels as have room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from polyvec.evaluation.figures import save_png
from polyvec.search.document_map import DocumentMap
from polyvec.search.map_page import COLOURS

_INK = "#222222"
_SMALL = 24
"""Small topics that are named, at most: more cannot be read."""
_EDGE = 1.08
"""Times what is seen is the frame, so that no point lies on it."""
_SEEN = 99.5
"""Percent of passages that lie within it."""
_FLATTEST = 0.3
"""Half of it in either direction, at the least."""
_LINE = 22
"""Characters in a line of a label."""


def map_figure(drawn: DocumentMap) -> Figure:
    """Draw a map; a label that would cover another one is left out, the largest topics being named first."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    large = np.array([topic.large for topic in drawn.topics])[drawn.topic]
    dot = float(np.clip(20_000 / len(drawn.rows), 3, 40))
    for number in np.unique(large):
        inside = drawn.places[large == number]
        axes.scatter(
            inside[:, 0],
            inside[:, 1],
            s=dot,
            color=COLOURS[number],
            alpha=0.75,
            linewidths=0,
            rasterized=True,
        )
    wide, high = _EDGE * np.maximum(np.percentile(np.abs(drawn.places), _SEEN, axis=0), _FLATTEST)
    axes.set(xlim=(-wide, wide), ylim=(-high, high))
    axes.set(aspect="equal", xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    some = f" of {drawn.of:,}" if drawn.of > len(drawn.rows) else ""
    axes.set_title(f"{drawn.name}: {len(drawn.rows):,}{some} passages by {drawn.model}", loc="left")
    figure.draw_without_rendering()
    _name_topics(axes, drawn)
    return figure


def map_picture(drawn: DocumentMap, path: Path) -> None:
    """Write the figure as PNG."""
    save_png(map_figure(drawn), path)


def _name_topics(axes: Axes, drawn: DocumentMap) -> None:
    numbers = sorted(range(len(drawn.topics)), key=lambda n: -drawn.topics[n].passages)
    large = [n for n in numbers if drawn.topics[n].large == n]
    small = [n for n in numbers if drawn.topics[n].large != n][:_SMALL]
    taken: list[Bbox] = []
    for number in (*large, *small):
        topic = drawn.topics[number]
        bold = topic.large == number
        x, y = drawn.places[topic.place]
        label = axes.text(
            float(x),
            float(y),
            _in_lines(topic.label),
            fontsize=11 if bold else 8,
            fontweight="bold" if bold else "normal",
            color=_INK,
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            clip_on=True,
        )
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in taken):
            label.remove()
        else:
            taken.append(box)


def _in_lines(label: str) -> str:
    r"""A label with its terms in lines of about the same length.

    Example:
        >>> _in_lines("regular expression, pattern, match")
        'regular expression,\npattern, match'
    """
    lines: list[str] = []
    for term in label.split(", "):
        if lines and len(lines[-1]) + len(term) + 2 <= _LINE:
            lines[-1] += f", {term}"
        else:
            lines.append(term)
    return ",\n".join(lines)
