"""The one leak guard of the house: what is learned and what is examined share nothing."""

from __future__ import annotations

from collections.abc import Iterable

from polyvec.errors import BadInput

NAMED = 3
"""Of what leaked so many are named."""


class LeakageError(BadInput):
    """Something that is examined was learned: the result would be worth nothing."""


def refuse_leakage(learned: Iterable[str], examined: Iterable[str], what: str) -> None:
    """Stop where something stands on both sides.

    Args:
        learned: ids of documents or passages, or texts, that training sees.
        examined: the same of an exam.
        what: what they are, in the plural, with where they were found: the subject of the sentence.

    Raises:
        LeakageError: naming some of what both have.

    Example:
        >>> refuse_leakage(["a", "b"], ["b", "c"], "pages of the exam in pre-training")
        Traceback (most recent call last):
        ...
        polyvec.data.leak_guard.LeakageError: 1 pages of the exam in pre-training: 'b'; leave them out of one of the two
    """
    both = sorted(set(learned) & set(examined))
    if both:
        named = ", ".join(map(repr, both[:NAMED])) + (" …" if len(both) > NAMED else "")
        raise LeakageError(f"{len(both)} {what}: {named}; leave them out of one of the two")
