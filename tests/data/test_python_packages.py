"""Installed packages: which modules are read, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyvec.data import python_packages
from polyvec.data.documents import Link, Skipped
from polyvec.data.sources import read_documents
from polyvec.errors import BadInput


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "shop/__init__.py": '"""A shop.\n\nIt sells."""\nfrom .cart import total',
        "shop/cart.py": 'def total():\n    """What all of it costs."""\n    return 1\n',
        "shop/cart/__init__.py": (
            'def total():\n    """What all costs.\n\n    See Also\n    --------\n'
            '    shop.pay : Take the money.\n    """\n    return 1\n'
        ),
        "shop/_till.py": 'def pay():\n    """Take the money now."""\n    return 1\n',
        "shop/silent.py": "x = 1",
        "shop/empty.py": "",
        "shop/odd.py": "def f(:",
        "shop/test_cart.py": '"""A test."""',
        "shop/tests/test_till.py": '"""A test."""',
        "shop/_vendor/other.py": '"""A copy."""',
        "shop/not-a-module.py": '"""Out of reach."""',
        "shop/data-1/a.py": '"""Out of reach."""',
        "alone.py": '"""A module.\n\nAll alone."""',
        "bare/x.txt": "no source",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("packages")
def test_named_packages() -> None:
    reading = read_documents("python: shop, alone")
    assert [(d.id, d.group, d.title) for d in reading.documents] == [
        ("alone", "alone", "A module."),
        ("shop", "shop", "A shop."),
        ("shop._till", "shop", "shop._till"),
        ("shop.cart", "shop", "shop.cart"),
    ]
    assert reading.skipped == [
        Skipped("shop", "1 of 9 modules not read; copies of other packages"),
        Skipped("shop", "2 of 9 modules not read; tests"),
        Skipped("shop", "2 of 6 modules not read; nothing documented in them"),
        Skipped("shop.odd", "not Python source: invalid syntax, line 1"),
    ]
    links = [link for d in reading.documents for s in d.sections for link in s.links]
    assert links == [Link("Take the money.", "shop._till#pay")]
    assert reading == read_documents("python:alone,shop,shop")


@pytest.mark.usefixtures("packages")
def test_modules_of_a_large_package_are_spread_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_packages, "MOST_MODULES", 2)
    modules, left_out = python_packages.find_modules(["shop"])
    assert [module.name for module in modules] == ["shop", "shop.empty"]
    assert left_out[0] == Skipped(
        "shop", "4 of 9 modules not read; at most 2 a package are, spread evenly"
    )


def test_the_standard_library() -> None:
    reading = read_documents("python:json,graphlib")
    assert [document.id for document in reading.documents] == [
        "graphlib",
        "json",
        "json.decoder",
        "json.encoder",
    ]
    assert {document.group for document in reading.documents} == {"graphlib", "json"}


def test_all_installed_packages_are_named_once_and_without_this_one() -> None:
    names = python_packages.installed_packages()
    assert names == sorted(set(names))
    assert {"json", "numpy", "sklearn", "rich"} <= set(names)
    assert not {"polyvec", "scikit-learn", "test"} & set(names)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("python:json,nosuchthing", "python:nosuchthing: no such package is installed here"),
        ("python:scikit-learn", "python:scikit-learn: not the import name of a package"),
        ("python:shop.cart", "python:shop.cart: not the import name of a package"),
        ("python:sys", "python:sys: no such package is installed here"),
        ("python:bare", "python:bare: the package has no Python source to read"),
    ],
)
def test_bad_packages(source: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        read_documents(source)
    assert str(error.value).startswith(message)
