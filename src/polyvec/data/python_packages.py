"""The modules of installed Python packages, found without importing any of them."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from polyvec.data.decoding import NO_BYTES
from polyvec.data.documents import Document, Reading, Skipped
from polyvec.data.file_reading import NO_TEXT, PYTHON, File, read_files
from polyvec.errors import BadInput

if TYPE_CHECKING:
    from _typeshed.importlib import MetaPathFinderProtocol

MOST_MODULES = 300
"""Modules that are read of one package, so that no huge package outweighs all others."""

PREFIX = "python:"
"""What a source that names packages starts with."""

_TESTS = {"test", "tests", "idle_test", "testdata", "test_data", "conftest"}
_COPIES = {
    "_vendor",
    "_vendored",
    "vendor",
    "vendored",
    "extern",
    "externals",
    "_external",
    "third_party",
}


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: where it is, its dotted name, and the top-level package it belongs to."""

    path: Path
    name: str
    package: str


def read_packages(names: Iterable[str]) -> Reading:
    """Read packages by import name; where none is given, all installed and the standard library.

    Returns:
        A document for each module that has a docstring, in the order of their names, at most
        `MOST_MODULES` of a package. What is left out is counted, a line for each package and
        reason.

    Raises:
        BadInput: when a named package is not installed or has no Python source.
    """
    named = [name.strip() for name in names if name.strip()]
    for name in named:
        _require(name)
    chosen, skipped = find_modules(named or installed_packages())
    sizes = ((module, module.path.stat().st_size) for module in chosen)
    reading = read_files([File(m.path, size, m.name, m.package, PYTHON) for m, size in sizes], None)
    return _without_silent(reading, skipped, Counter(module.package for module in chosen))


def _without_silent(
    reading: Reading, skipped: list[Skipped], modules: Mapping[str, int]
) -> Reading:
    """Documents that say something; those that say nothing are counted for each package."""
    said = [document for document in reading.documents if _says_something(document)]
    silent = Counter(d.group for d in reading.documents if not _says_something(d))
    failed = [entry for entry in reading.skipped if entry.reason not in (NO_BYTES, NO_TEXT)]
    empty = (entry for entry in reading.skipped if entry.reason in (NO_BYTES, NO_TEXT))
    silent.update(entry.where.partition(".")[0] for entry in empty)
    for package, count in sorted(silent.items()):
        counts = _counts(package, {"nothing documented in them": count}, modules[package])
        skipped = [*skipped, *counts]
    return Reading(said, [*skipped, *failed])


def _says_something(document: Document) -> bool:
    return any(section.paragraphs or section.summary for section in document.sections)


def installed_packages() -> list[str]:
    """Import names of all installed distributions and the standard library, without this one."""
    names = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names}
    return sorted(n for n in names - {"polyvec"} if n.isidentifier() and n not in _TESTS)


def find_modules(packages: Iterable[str]) -> tuple[list[Module], list[Skipped]]:
    """The modules of packages that are worth reading, sorted, and a count of the others.

    A package without Python source (an extension module) gives none.
    """
    chosen: list[Module] = []
    skipped: list[Skipped] = []
    for package in sorted(set(packages)):
        modules = _modules(package)
        left_out = Counter(_left_out(module.name) for module in modules)
        kept = [module for module in modules if not _left_out(module.name)]
        most = min(MOST_MODULES, len(kept))
        read = [kept[n * len(kept) // most] for n in range(most)]
        left_out[f"at most {MOST_MODULES} a package are, spread evenly"] = len(kept) - len(read)
        chosen.extend(read)
        skipped.extend(_counts(package, left_out, len(modules)))
    return chosen, skipped


def _counts(package: str, reasons: Mapping[str, int], modules: int) -> Iterator[Skipped]:
    for reason, count in sorted(reasons.items()):
        if reason and count:
            yield Skipped(package, f"{count} of {modules} modules not read; {reason}")


def _require(name: str) -> None:
    where = f"{PREFIX}{name}"
    if not name.isidentifier():
        raise BadInput(
            f"{where}: not the import name of a package; write it as in {PREFIX}numpy,scipy"
        )
    if not _locations(name):
        raise BadInput(
            f"{where}: no such package is installed here; "
            "give import names (sklearn, not scikit-learn) of this environment"
        )
    if not _modules(name):
        raise BadInput(f"{where}: the package has no Python source to read")


def _left_out(name: str) -> str:
    parts = name.split(".")
    if any(part in _TESTS or part.startswith("test_") or part.endswith("_test") for part in parts):
        return "tests"
    return "copies of other packages" if _COPIES.intersection(parts) else ""


def _locations(package: str) -> list[Path]:
    """The folders of a package (a namespace package has several), or the file of a module."""
    if package in sys.stdlib_module_names:
        library = Path(sysconfig.get_path("stdlib"))
        standard = (library / package, library / f"{package}.py")
        return [path for path in standard if path.exists()] or _found(package)
    return _found(package)


def _found(package: str) -> list[Path]:
    # The finders of editable installs come after that of the import path.
    finders: list[MetaPathFinderProtocol] = [PathFinder, *sys.meta_path]
    specs = (finder.find_spec(package, None) for finder in finders)
    spec = next((spec for spec in specs if spec is not None), None)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and os.path.exists(spec.origin) else []


def _modules(package: str) -> list[Module]:
    """All modules by name; a package goes before a module of its name, as in an import."""
    found: dict[str, Module] = {}
    for location in _locations(package):
        for path, name in _files(location, package):
            if name not in found or path.name == "__init__.py":
                found[name] = Module(path, name, package)
    return [found[name] for name in sorted(found)]


def _files(location: Path, package: str) -> Iterator[tuple[Path, str]]:
    if location.suffix == ".py":
        yield location, package
        return
    for folder, folders, files in os.walk(location):
        # Only what an import could reach: `site-packages` and the like are no packages.
        folders[:] = sorted(
            name for name in folders if name.isidentifier() and name != "__pycache__"
        )
        inside = (package, *Path(folder).relative_to(location).parts)
        for file in sorted(files):
            stem, ending = os.path.splitext(file)
            if ending == ".py" and stem.isidentifier():
                name = ".".join(inside if stem == "__init__" else (*inside, stem))
                yield Path(folder, file), name
