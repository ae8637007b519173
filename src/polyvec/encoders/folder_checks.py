"""Checks on a model's folder before it is opened: nothing in it may run code.

A folder names the classes that rebuild it (``modules.json``, ``router_config.json``). Only classes
of sentence-transformers and polyvec are accepted, and weights only as safetensors.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path, PureWindowsPath
from typing import Any

from sentence_transformers.base.modules import Module, Router
from sentence_transformers.util import import_from_string

from polyvec.errors import BadInput
from polyvec.files import read_json

ModuleClasses = dict[str, type[Module]]

_TYPE = re.compile(r"(sentence_transformers|polyvec)(\.[A-Za-z]\w*)+", re.ASCII)
_PICKLED = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")


def check_folder(folder: Path) -> ModuleClasses:
    """Make sure that opening ``folder`` runs no code of its own.

    Args:
        folder: a sentence-transformers folder, or one of transformers.

    Returns:
        The classes that the folder's modules are made of, by the name that the folder calls them.

    Raises:
        BadInput: when the folder is no model, names a class of another package, or has pickled
            weights.
    """
    modules = folder / "modules.json"
    if modules.exists():
        return _check_modules(folder, modules)
    if not (folder / "config.json").exists():
        raise BadInput(f"{folder}: not a model; it has neither modules.json nor config.json")
    _check_body(folder)
    return {}


def _check_modules(folder: Path, modules: Path) -> ModuleClasses:
    records = read_json(modules)
    if not isinstance(records, list) or not records or not all(map(_is_record, records)):
        raise BadInput(
            f"{modules}: expected a list of modules, each with a name, a path and a type"
        )
    classes: ModuleClasses = {}
    for record in records:
        classes |= _check_module(folder, record["path"], record["type"], modules)
    return classes


def _is_record(record: Any) -> bool:
    return isinstance(record, dict) and all(
        isinstance(record.get(key), str) for key in ("name", "path", "type")
    )


def _check_module(folder: Path, path: str, type_name: str, named_in: Path) -> ModuleClasses:
    place = _inside(folder, path, named_in)
    module_class = _resolve(type_name, named_in)
    classes = {type_name: module_class}
    if issubclass(module_class, Router):
        classes |= _check_routes(folder, path, place)
    _check_body(place)
    return classes


def _inside(folder: Path, path: str, named_in: Path) -> Path:
    as_windows = PureWindowsPath(path)  # it knows the separators of both worlds
    place = folder / path
    outside = not place.resolve().is_relative_to(folder.resolve())
    if outside or as_windows.anchor or ".." in as_windows.parts:
        raise BadInput(f"{named_in}: the path {path!r} leads out of the folder")
    return place


def _resolve(type_name: str, named_in: Path) -> type[Module]:
    """The class of that name, if it is a module of sentence-transformers or polyvec."""
    if not _TYPE.fullmatch(type_name):
        raise BadInput(
            f"{named_in}: the type {type_name!r} is not opened; "
            "only modules of sentence_transformers and polyvec are"
        )
    package = type_name.partition(".")[0]
    try:
        found = _import(type_name)
    except (ImportError, AttributeError):
        raise BadInput(
            f"{named_in}: there is no {type_name!r} in the {package} installed here"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Module)):
        raise BadInput(f"{named_in}: the type {type_name!r} is not a module of a model")
    if found.__module__.partition(".")[0] not in ("sentence_transformers", "polyvec"):
        raise BadInput(f"{named_in}: the type {type_name!r} comes from {found.__module__}")
    return found


def _import(type_name: str) -> Any:
    if type_name.startswith("sentence_transformers."):
        # It knows the names that its modules had in older versions.
        return import_from_string(type_name)
    module, _, name = type_name.rpartition(".")
    return getattr(import_module(module), name)


def _check_routes(folder: Path, path: str, place: Path) -> ModuleClasses:
    config = place / "router_config.json"
    if not config.exists():
        config = place / "config.json"
    types = read_json(config).get("types")
    if not isinstance(types, dict) or not all(isinstance(t, str) for t in types.values()):
        raise BadInput(f"{config}: expected the types of its modules under 'types'")
    classes: ModuleClasses = {}
    for name, type_name in types.items():
        classes |= _check_module(folder, f"{path}/{name}" if path else name, type_name, config)
    return classes


def _check_body(place: Path) -> None:
    files = [path.name for path in place.iterdir()] if place.is_dir() else []
    if "adapter_config.json" in files:
        raise BadInput(
            f"{place}: a PEFT adapter, not a whole model; merge it into its base model first"
        )
    pickled = sorted(
        name for name in files if name.endswith(_PICKLED) and name != "training_args.bin"
    )
    if pickled and not any(name.endswith(".safetensors") for name in files):
        raise BadInput(
            f"{place / pickled[0]}: pickled weights, which can run code, are not opened; "
            "save the model with safetensors"
        )
