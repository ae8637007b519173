"""Hits and facts of an index as tables of rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from polyvec.search.highlighting import word_spans
from polyvec.search.hits import Hit

_VERSIONS_SHOWN = 5


def passages_shown(hits: Sequence[Hit], query: str) -> RenderableType:
    """Hits one below the other, the query's words in them highlighted."""
    if not hits:
        return Text("Nothing found.")
    return Group(*(_shown(rank, hit, query) for rank, hit in enumerate(hits, 1)))


def explanation_table(hits: Sequence[Hit]) -> Table:
    """Ranks and scores of every hit; ``-`` where a search did not find it among its best."""
    table = Table(title="how each was found")
    table.add_column("")
    table.add_column("passage", overflow="fold")
    for name in ("score", "vectors: rank", "cosine", "words: rank", "BM25"):
        table.add_column(name, justify="right")
    for rank, hit in enumerate(hits, 1):
        table.add_row(
            str(rank),
            Text(hit.id),
            f"{hit.score:.4f}",
            *_place(hit.vector_rank, hit.vector_score),
            *_place(hit.word_rank, hit.word_score),
        )
    return table


def info_table(facts: Mapping[str, Any]) -> Table:
    """What `polyvec.search.index.Index.info` returns, a row each."""
    table = Table(title=Text(facts["path"]), show_header=False)
    table.add_row("model", Text(facts["model"] or "given without a name"))
    table.add_row("fingerprint", facts["fingerprint"][:16])
    table.add_row("dimensions", str(facts["dimensions"]))
    table.add_row("documents", f"{facts['documents']:,}")
    table.add_row("passages", f"{facts['passages']:,}")
    table.add_row("vector search", "approximate" if facts["approximate"] else "exact")
    table.add_row("size", f"{facts['bytes'] / 2**20:,.1f} MiB")
    for source, documents in facts["sources"].items():
        table.add_row("source", Text(f"{source} ({documents:,} documents)"))
    versions = facts["versions"]
    for version in versions[-_VERSIONS_SHOWN:]:
        passages = f"{version['passages']:,} passages"
        table.add_row(f"version {version['version']}", f"{version['time']}, {passages}")
    if len(versions) > _VERSIONS_SHOWN:
        table.add_row("", f"and {len(versions) - _VERSIONS_SHOWN} older versions")
    return table


def _shown(rank: int, hit: Hit, query: str) -> Text:
    where = " > ".join(part for part in (hit.title, hit.heading) if part)
    text = Text(hit.text)
    for start, end in word_spans(hit.text, query):
        text.stylize("bold yellow", start, end)
    shown = Text(f"{rank}. ", "bold").append(where or hit.document, "bold cyan")
    shown.append(f"  {hit.score:.4f}\n", "dim").append(f"{hit.place}\n", "dim")
    return shown.append(text).append("\n")


def _place(rank: int | None, score: float | None) -> tuple[str, str]:
    return ("-" if rank is None else str(rank), "-" if score is None else f"{score:.3f}")
