"""What an adaptation did, for people: one self-contained page, and one table for the terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.table import Table

from polyvec.adaptation import report_figures
from polyvec.evaluation.frontier import by_size
from polyvec.files import write_text

MEASURE = "ndcg@10"
SYSTEMS = {"bm25": "BM25", "base": "base", "adapted": "adapted", "hybrid": "hybrid"}

COMPLEXITY_WORDS = {
    "entropy": ("entropy, bits a word", "more different words in a text; grows with its length"),
    "fog": ("Gunning's fog index, years of schooling", "longer sentences and longer words"),
    "mdd": ("dependency distance, words", "words that belong together stand further apart"),
    "lexical_error": (
        "wrong by shared words alone, share of 1 in 10 choices",
        "queries and answers share fewer words",
    ),
}
"""Measure → what a person calls it, and what a higher value says."""


def write_report(metrics: dict[str, Any], path: Path) -> None:
    """Write the report page.

    Args:
        metrics: the content of ``metrics.json``.
        path: of the page; it needs no other file and no network.
    """
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            metrics=metrics,
            headline=headline(metrics),
            rows=_rows(metrics),
            systems=SYSTEMS,
            complexity_words=COMPLEXITY_WORDS,
            sizes=by_size(metrics["frontier"]) if metrics["frontier"] else [],
            figures={name: Markup(svg) for name, svg in _figures(metrics).items()},
            skipped=_by_reason(metrics["read"]["skipped"]),
        )
    )
    write_text(path, page)


def headline(metrics: Mapping[str, Any]) -> str:
    """The result in one or two plain sentences."""
    gain = metrics["gain"]
    if metrics["kept"] == "base":
        return f"The base model was kept: {metrics['why']}."
    interval = (
        f"95 % interval {_points(gain['low'], sign=True)} to {_points(gain['high'], sign=True)}"
    )
    value = f"{_points(gain['value'], sign=True)} points nDCG@10"
    if gain["low"] > 0:
        return f"The adapted model finds what is wanted better than its base: {value} ({interval})."
    if gain["high"] < 0:
        return f"On this exam the adapted model is worse, although dev preferred it: {value} ({interval})."
    return f"Between the adapted model and its base this exam shows no difference beyond luck: {value} ({interval})."


def table(metrics: Mapping[str, Any]) -> Table:
    """The one table that the command prints: nDCG@10 in points."""
    title = f"nDCG@10 on {metrics['documents']} (points; gain of adapted over base, 95 % interval)"
    shown = Table(title=title, caption=f"{headline(metrics)} {_retention(metrics)}".strip())
    shown.add_column("task")
    shown.add_column("queries", justify="right")
    for name in SYSTEMS.values():
        shown.add_column(name, justify="right")
    shown.add_column("gain", justify="right", no_wrap=True)
    for row in _rows(metrics):
        values = (_points(row["systems"][system][MEASURE]) for system in SYSTEMS)
        gain = row["gain"]
        interval = f"[{_points(gain['low'], sign=True)}, {_points(gain['high'], sign=True)}]"
        shown.add_row(
            row["task"],
            str(row["queries"]),
            *values,
            # Square brackets would be read as markup.
            f"{_points(gain['value'], sign=True)} " + interval.replace("[", r"\["),
            style="bold" if row["task"] == "mean" else "",
        )
    return shown


def _retention(metrics: Mapping[str, Any]) -> str:
    retention = metrics["retention"]
    if not retention:
        return ""
    return f"Outside the domain: {_points(retention['change'], sign=True)} points."


def _rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    sizes = metrics["sizes"]
    rows = [
        {
            "task": task,
            **sizes[task],
            "systems": systems,
            "gain": metrics["intervals"][task]["over_base"],
        }
        for task, systems in metrics["tasks"].items()
    ]
    mean = {
        "task": "mean",
        "queries": sum(size["queries"] for size in sizes.values()),
        "passages": "",
        "systems": metrics["mean"],
        "gain": metrics["gain"],
    }
    return [*rows, mean] if len(rows) > 1 else rows


def _figures(metrics: dict[str, Any]) -> dict[str, str]:
    drawn = [
        report_figures.bars,
        report_figures.training_curve,
        report_figures.merge_curve,
        report_figures.cost_bars,
    ]
    if metrics["pretraining"]:
        drawn.append(report_figures.pretraining_curve)
    if metrics["frontier"]:
        drawn.append(report_figures.sizes)
    return {draw.__name__: report_figures.as_svg(draw, metrics) for draw in drawn}


def _by_reason(skipped: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for item in skipped:
        places[item["reason"]].append(item["where"])
    return dict(sorted(places.items(), key=lambda found: -len(found[1])))


def _points(value: float, sign: bool = False) -> str:
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("polyvec.adaptation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["points"] = _points
    return environment
