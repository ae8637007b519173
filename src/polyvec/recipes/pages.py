"""Pages of methods for docs and README, made of recipes and their evidence, so that they cannot drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyvec.errors import BadInput
from polyvec.recipes.methods import methods, read_evidence
from polyvec.recipes.recipe import SCALES, Scale
from polyvec.recipes.tables import evidence_rows

START, END = "<!-- methods-table -->", "<!-- /methods-table -->"
_MADE = "<!-- Made by `make docs` from evidence/; changes here are lost. -->"


def pages(evidence: Path) -> dict[str, str]:
    """Markdown pages, by their names inside ``docs/methods``.

    Args:
        evidence: folder of all evidence.

    Returns:
        ``index.md`` with every paper, and a page for each paper that has evidence.
    """
    rows = methods(evidence)
    found = {
        row["name"]: {
            scale: read_evidence(evidence / row["name"] / f"{scale}.json")
            for scale in SCALES
            if scale in row["verdicts"]
        }
        for row in rows
    }
    own = {f"{name}.md": _page(name, scales) for name, scales in found.items() if scales}
    return {"index.md": _index(rows), **own}


def readme_table(evidence: Path) -> str:
    """The README's table of methods: those with evidence, and how many are still to come."""
    rows = methods(evidence)
    shown = [row for row in rows if row["verdicts"]]
    lines = [
        "| method | paper | claim | verdict here |",
        "|---|---|---|---|",
        *(
            f"| [{row['name']}](docs/methods/{row['name']}.md) | {_cited(row)} | {row['claim']} | "
            f"{_verdicts(row)} |"
            for row in shown
        ),
    ]
    rest = len(rows) - len(shown)
    return "\n".join([*lines, "", f"{rest} of the {len(rows)} papers are still without evidence."])


def with_table(readme: str, table: str) -> str:
    """The README with its table replaced.

    Raises:
        BadInput: when the README has no place for it.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise BadInput(f"README.md: no place for the table; it needs {START} and {END}")
    return f"{before}{START}\n{table}\n{END}{after}"


def _index(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [row for row in rows if row["verdicts"]]
    rest = [row for row in rows if not row["verdicts"]]
    lines = [
        "# Methods",
        "",
        _MADE,
        "",
        "Each method comes from a paper, and each paper's claim is an experiment that `polyvec reproduce NAME` runs "
        "again. The verdict comes from a rule that was written down before the runs.",
        "",
        "| method | paper | claim | verdict |",
        "|---|---|---|---|",
        *(
            f"| [{row['name']}]({row['name']}.md) | {_cited(row)} | {row['claim']} | {_verdicts(row)} |"
            for row in shown
        ),
        "",
        "## Without evidence yet",
        "",
        *(f"- {row['title']} ({_cited(row)})" for row in rest),
        "",
    ]
    return "\n".join(lines)


def _page(name: str, scales: Mapping[Scale, Mapping[str, Any]]) -> str:
    first = next(iter(scales.values()))
    lines = [
        f"# {name}",
        "",
        _MADE,
        "",
        f"{first['title']} ({first['paper']}, [arXiv:{first['arxiv']}](https://arxiv.org/abs/{first['arxiv']})).",
        "",
        f"**Claim.** {first['claim']}",
        "",
        f"**Rule.** {first['rule']}",
        "",
    ]
    for scale, evidence in scales.items():
        lines += _scale(name, scale, evidence)
    return "\n".join(lines)


def _scale(name: str, scale: str, evidence: Mapping[str, Any]) -> list[str]:
    header, *rows = evidence_rows(evidence)
    machine = evidence["machine"]
    where = ", ".join(
        str(machine[key]) for key in ("accelerator", "processor", "cores") if key in machine
    )
    data = [
        f"| {source} | {facts['rows']:,} | `{facts['sha256'][:16]}` |"
        for source, facts in evidence["data"].items()
    ]
    return [
        f"## At scale {scale}: {evidence['verdict']}",
        "",
        f"![{name} at scale {scale}]({name}-{scale}.png)",
        "",
        f"| {' | '.join(header)} |",
        f"|---|{'---:|' * (len(header) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(f"- {note}" for note in evidence["notes"]),
        *([""] if evidence["notes"] else []),
        "| data | rows | sha256 |",
        "|---|---:|---|",
        *data,
        "",
        f"`{evidence['command']}`: {evidence['minutes']:.1f} minutes on {where} cores, "
        f"{evidence['created'][:10]}, {len(evidence['seeds'])} seed(s), commit `{evidence['commit'][:10]}`.",
        "",
    ]


def _cited(row: Mapping[str, Any]) -> str:
    return f"[{row['authors']}](https://arxiv.org/abs/{row['arxiv']})"


def _verdicts(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{scale}: {verdict}" for scale, verdict in row["verdicts"].items())
