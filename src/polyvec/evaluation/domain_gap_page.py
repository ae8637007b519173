"""A domain gap for people: one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from polyvec.evaluation.domain_gap_figures import as_svg, coefficients, group_boxes
from polyvec.evaluation.domain_gap_sentences import headline
from polyvec.files import write_text

if TYPE_CHECKING:
    from polyvec.evaluation.domain_gap import GapReport

_LITTLE = 0.0001


def write_page(report: GapReport, path: Path) -> None:
    """Write the page.

    Args:
        report: what `polyvec.evaluation.domain_gap.domain_gap` found.
        path: of the page; it needs no other file and no network.
    """
    page = (
        _environment()
        .get_template("domain_gap.html.j2")
        .render(
            report=report,
            headline=headline(report),
            boxes=Markup(as_svg(group_boxes(report))),
            coefficients=Markup("" if report.regression.empty else as_svg(coefficients(report))),
        )
    )
    write_text(path, page)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _shown(value: Any) -> str:
    """A number as short as it can be read; nothing for what could not be computed."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return str(value)
    if not np.isfinite(value):
        return "n/a"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _probability(value: float) -> str:
    if not np.isfinite(value):
        return "n/a"
    return f"< {_LITTLE}" if value < _LITTLE else f"{value:.4f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}" if np.isfinite(value) else "n/a"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else ""


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("polyvec.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "rows": _rows,
        "shown": _shown,
        "probability": _probability,
        "points": _points,
        "share": _share,
    }
    return environment
