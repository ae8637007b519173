"""What every picture of results shares: colours that colour-blind people tell apart, and writing it whole."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from polyvec.files import write_bytes

# Okabe and Ito's.
GREY, BLUE, ORANGE, GREEN, SKY, YELLOW, PURPLE = (
    *("#999999", "#0072B2", "#D55E00", "#009E73"),
    *("#56B4E9", "#E69F00", "#CC79A7"),
)
MODEL_COLOURS = (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE, GREY)


def save_png(figure: Figure, path: Path, dots: int = 110) -> None:
    """Write a figure as PNG, whole or not at all, the same bytes for the same figure.

    Args:
        figure: to draw.
        path: of the file.
        dots: per inch.
    """
    FigureCanvasAgg(figure)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=dots, metadata={"Software": None})
    write_bytes(path, held.getvalue())
