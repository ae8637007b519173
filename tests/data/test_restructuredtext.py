"""reStructuredText: sections, Sphinx' directives and roles, and what it must never do."""

from __future__ import annotations

from pathlib import Path

import pytest
from docutils.parsers.rst import directives, roles
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvec.data.documents import Document, Link
from polyvec.data.restructuredtext import read_restructuredtext
from polyvec.errors import BadInput


def read(text: str, id: str = "docs/guide.rst") -> Document:
    return read_restructuredtext(text.encode(), id)


GUIDE = """
The guide
=========

Two lines,
one *paragraph* with ``code``.

.. comment

.. _setup-label:

Setting up
----------

- first
- second

  goes on

term
   meaning

:field: body

::

   a = 1
   b = 2

Sizes
~~~~~

====  ====
name  size
====  ====
a     1
====  ====

.. note:: Mind the gap.

.. image:: x.png

Using it
--------

Text [1]_.

.. [1] A footnote.
"""


def test_every_kind_of_block() -> None:
    document = read(GUIDE)
    assert document.title == "The guide"
    assert [(s.heading, s.path, s.anchor, s.paragraphs) for s in document.sections] == [
        ("", (), "the-guide", ("Two lines, one paragraph with code.",)),
        (
            "Setting up",
            (),
            "setup-label",
            ("first", "second", "goes on", "term: meaning", "field: body", "a = 1 b = 2"),
        ),
        ("Sizes", ("Setting up",), "sizes", ("name size", "a 1", "Mind the gap.")),
        ("Using it", (), "using-it", ("Text .", "A footnote.")),
    ]


def test_several_outermost_sections_make_no_title() -> None:
    document = read("A\n=\n\nx\n\nB\n=\n\ny\n")
    assert document.title == ""
    assert [(s.heading, s.paragraphs) for s in document.sections] == [("A", ("x",)), ("B", ("y",))]


def test_sphinx_objects_are_sections() -> None:
    document = read(
        """
.. module:: os
   :synopsis: System.

.. py:function:: os.walk(top, *, deep=True)
                 os.walk(top)
   :async:

   Walk through ``top``.

   .. versionadded:: 3.1

.. class:: Entry

   An entry.

   .. method:: stat()

      Its size.

   After the method.

Outside.
"""
    )
    assert [(s.heading, s.path, s.anchor, s.paragraphs) for s in document.sections] == [
        ("", (), "", ("Outside.",)),
        ("os.walk(top, *, deep=True)", (), "os.walk", ("Walk through top.",)),
        ("Entry", (), "Entry", ("An entry.", "After the method.")),
        ("stat()", ("Entry",), "stat", ("Its size.",)),
    ]


def test_unknown_directives_and_roles_show_their_text() -> None:
    document = read(
        """
See :func:`~os.path.join`, :class:`!Entry`, :unknown:`this` and |missing|.

.. tab-item:: On *Linux*
   :sync: a

   Use make.

.. code-block:: python
   :linenos:

   x = 1

.. toctree::

   chapter
"""
    )
    assert document.sections[0].paragraphs == (
        "See join, Entry, this and missing.",
        "On Linux",
        "Use make.",
        "x = 1",
    )


def test_links() -> None:
    document = read(
        """
:doc:`the other page <../other>`, :ref:`a label <My_Label>`, :func:`joining <os.path.join>`,
`a page <sub/page.html#x>`_, `outside <https://a.org>`_, :func:`os.walk`, below_.

.. _below:

Down here
=========

Text.
"""
    )
    assert document.sections[0].links == (
        Link("the other page", "other"),
        Link("a label", "my-label"),
        Link("joining", "os.path.join"),
        Link("a page", "docs/sub/page.html#x"),
        Link("below", "docs/guide.rst#below"),
    )


def test_no_other_file_is_read_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    document = read(
        f"""
.. include:: {secret}

.. literalinclude:: {secret}

.. raw:: html
   :file: {secret}

.. csv-table::
   :file: {secret}

.. code:: python
   :include: {secret}

.. figure:: {secret}
   :figwidth: image

   A caption.

Broken `link
===
.. note
"""
    )
    assert "secret words" not in document.text
    assert "A caption." in document.text
    assert capfd.readouterr() == ("", "")


def test_docutils_is_left_as_it_was() -> None:
    before = (directives.directive, roles.role, dict(vars(roles)["_roles"]))
    read(".. role:: mine\n\n.. function:: f()\n\n:mine:`x` :other:`y`\n")
    assert (directives.directive, roles.role, vars(roles)["_roles"]) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\0b", "binary, not text"),
        (b"a" * 200_000, "not reStructuredText: a line longer than 100000 characters"),
        (b"- " * 20_000 + b"deep", "not reStructuredText that docutils can parse"),
    ],
)
def test_bad_input(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_restructuredtext(content, "a.rst")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="=-`*_|:. ab\n<>[]~", min_size=1))
def test_any_text_can_be_read(text: str) -> None:
    assert read(text).id == "docs/guide.rst"
