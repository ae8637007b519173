"""The tasks that a suite holds: local benchmark files, and any task of mteb by its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mteb
from mteb.abstasks import AbsTask

from polyvec.data.benchmarks.files import MissingData, data_root
from polyvec.errors import BadInput
from polyvec.evaluation.suites.local_suites import LOCAL
from polyvec.evaluation.suites.local_tasks import Declaration
from polyvec.evaluation.suites.tagging import Head

_ALL = "all"
SUITES = tuple(dict.fromkeys(task.suite for task in LOCAL))
"""Names of the suites."""


@dataclass(frozen=True, slots=True)
class SuiteTask:
    """A task that a person asked for.

    Attributes:
        name: as typed.
        suite: what it is averaged with.
        make: builds the mteb task.
        settings: what was chosen beside its defaults.
    """

    name: str
    suite: str
    make: Callable[[], AbsTask]
    settings: Mapping[str, Any] = field(default_factory=dict)


def suite_tasks(names: str, head: Head = "linear") -> list[SuiteTask]:
    """The tasks that a comma-separated list names.

    Args:
        names: suites (`SUITES`), local tasks (`LOCAL`) or names of mteb's tasks, with commas between.
        head: what tagging tasks learn.

    Raises:
        BadInput: when a name is none of these; the sentence offers the nearest.

    Example:
        >>> [task.name for task in suite_tasks("sts")]
        ['stsb', 'sick']
    """
    found: dict[str, SuiteTask] = {}
    for name in filter(None, (part.strip() for part in names.split(","))):
        declared = [task for task in LOCAL if name == _ALL or name in (task.name, task.suite)]
        for task in [_listed(one, head) for one in declared] or [_from_mteb(name)]:
            found[task.name] = task
    if not found:
        raise BadInput(f"no suite named; give some of {', '.join(SUITES)}, with commas between")
    return list(found.values())


def _listed(declared: Declaration, head: Head) -> SuiteTask:
    settings = {"head": head} if declared.suite == "ner" else {}
    return SuiteTask(declared.name, declared.suite, partial(_local, declared, settings), settings)


def _local(declared: Declaration, settings: Mapping[str, Any]) -> AbsTask:
    root = data_root()
    if root is None:
        raise MissingData(
            f"{declared.name} needs files: set POLYVEC_DATA to the folder that holds them"
        )
    return declared.protocol(declared, root, **settings)


def _from_mteb(name: str) -> SuiteTask:
    known = {
        task.metadata.name: task.metadata.type for task in mteb.get_tasks(exclude_superseded=False)
    }
    if name not in known:
        listed = [*SUITES, *(task.name for task in LOCAL), *known]
        near = difflib.get_close_matches(name, listed, 3) or list(SUITES)
        raise BadInput(f"no suite or task is called {name!r}; perhaps {', '.join(near)}?")
    return SuiteTask(name, known[name].lower(), partial(mteb.get_task, name))
