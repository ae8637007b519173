"""Which methods there are, and what their evidence says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyvec.errors import BadInput
from polyvec.files import read_json
from polyvec.recipes.papers import PAPERS
from polyvec.recipes.recipe import SCALES, recipes

_KEYS = {"arms", "seeds", "verdict", "metric", "baseline", "minutes", "claim", "rule"}


def methods(evidence: str | Path = "evidence", *, missing: bool = False) -> list[dict[str, Any]]:
    """Every paper of the library, with its recipe and verdicts.

    Args:
        evidence: folder of all evidence.
        missing: only those that have no evidence yet.

    Returns:
        For each paper ``name``, ``title``, ``authors``, ``arxiv``, ``recipe`` (whether there is one), ``claim`` and
        ``verdicts`` (scale → verdict).
    """
    found = {recipe.name: recipe for recipe in recipes()}
    rows = []
    for paper in PAPERS:
        recipe = found.get(paper.name)
        verdicts = {
            scale: read_evidence(path)["verdict"]
            for scale in SCALES
            if (path := Path(evidence, paper.name, f"{scale}.json")).exists()
        }
        if not (missing and verdicts):
            rows.append(
                {
                    **paper._asdict(),
                    "recipe": recipe is not None,
                    "claim": recipe.claim if recipe else "",
                    "verdicts": verdicts,
                }
            )
    return rows


def read_evidence(path: Path) -> dict[str, Any]:
    """Evidence that `reproduce` wrote.

    Raises:
        BadInput: when the file is something else.
    """
    found = read_json(path)
    lacking = sorted(_KEYS - set(found)) if isinstance(found, dict) else ["everything"]
    if lacking:
        raise BadInput(f"{path}: not evidence of polyvec, it lacks {', '.join(lacking)}")
    return dict(found)
