"""Python source: documented definitions, their code, their references."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvec.data.documents import Document, Link, Section
from polyvec.data.python_source import CODE_LIMIT, read_python
from polyvec.errors import BadInput


def read(source: str) -> Document:
    return read_python(source.encode(), "shop.cart", "shop")


def section(source: str, name: str) -> Section:
    return next(section for section in read(source).sections if section.heading == name)


MODULE = '''"""Shopping carts.  Small ones.

They hold items.
"""
import decimal


class Cart:
    """A cart that holds items.

    It is emptied by hand.

    See Also
    --------
    total : What all of it costs.
    shop.till.pay : Take the
        customer's money.
    Box
    """

    limit = 3  # of a kind

    def __init__(self, items=()):
        self.items = list(items)

    @property
    def size(self) -> int:
        """How many items are in it."""
        # Nothing is counted twice.
        return len(self.items)

    @size.setter
    def size(self, size):
        """Cut the cart down."""
        del self.items[size:]


def total(cart):
    """Sum the prices of a cart, as in :func:`the till's sum <shop.till.total>`."""

    def price(item):
        """Price of one."""
        return item.price

    return sum(map(price, cart.items))


def undocumented():
    return 1
'''


def test_a_module_becomes_a_section_for_each_documented_definition() -> None:
    document = read(MODULE)
    assert (document.id, document.title, document.group) == ("shop.cart", "Shopping carts.", "shop")
    assert [(s.heading, s.path, s.anchor) for s in document.sections] == [
        ("", (), ""),
        ("Cart", (), "Cart"),
        ("Cart.size", ("Cart",), "Cart.size"),
        ("total", (), "total"),
    ]
    assert document.sections[0].paragraphs == ("Small ones.", "They hold items.")


def test_summary_and_rest_of_the_docstring_are_apart() -> None:
    cart = section(MODULE, "Cart")
    assert cart.summary == "A cart that holds items."
    assert cart.paragraphs == ("It is emptied by hand.",)


def test_code_has_no_docstrings_and_a_class_shows_its_documented_methods_as_signatures() -> None:
    assert section(MODULE, "Cart").code == (
        "class Cart:\n"
        "    limit = 3  # of a kind\n"
        "\n"
        "    def __init__(self, items=()):\n"
        "        self.items = list(items)\n"
        "\n"
        "    @property\n"
        "    def size(self) -> int: ...\n"
        "\n"
        "    @size.setter\n"
        "    def size(self, size):\n"
        "        del self.items[size:]"
    )
    assert section(MODULE, "Cart.size").code == (
        "@property\n"
        "def size(self) -> int:\n"
        "    # Nothing is counted twice.\n"
        "    return len(self.items)"
    )
    assert section(MODULE, "total").code == (
        "def total(cart):\n"
        "    def price(item):\n"
        "        return item.price\n"
        "\n"
        "    return sum(map(price, cart.items))"
    )


def test_references_with_words_are_links_resolved_inside_the_module() -> None:
    assert section(MODULE, "Cart").links == (
        Link("What all of it costs.", "shop.cart#total"),
        Link("Take the customer's money.", "shop.till.pay"),
    )
    assert section(MODULE, "total").links == (Link("the till's sum", "shop.till.total"),)


def test_see_also_of_a_method_finds_its_siblings_before_the_module() -> None:
    source = '''
class A:
    def fit(self):
        """Learn from data.

        See Also
        --------
        apply : Use what was learned.
        A.fit : This very method itself.
        """
        return self

    def apply(self):
        """Use the model now."""
        return self

def apply():
    """Another thing called apply."""
    return 0
'''
    assert section(source, "A.fit").links == (Link("Use what was learned.", "shop.cart#A.apply"),)


NUMPYDOC = '''
def f(x, y):
    """
    f(x, y)

    Add two
    numbers: e.g. ``x`` and :math:`y`. Then
    nothing else.

    .. versionadded:: 1.2
       In a hurry.

    Parameters
    ----------
    x : int
        The first,
        still the first.
    y : int, optional
        The second.

    Returns
    -------
    int
        The sum [1]_.

    Notes
    -----
    As follows::

        code = not_prose()

    .. note:: Mind the gap.

    - one
    - two

    Examples
    --------
    Now:

    >>> f(1, 2)
    3

    References
    ----------
    .. [1] Somebody, 1900.
    """
    return x + y
'''


def test_numpydoc() -> None:
    found = section(NUMPYDOC, "f")
    assert found.summary == "Add two numbers: e.g. x and y."
    assert found.paragraphs == (
        "Then nothing else.",
        "Parameters: x : int The first, still the first.",
        "y : int, optional The second.",
        "Returns: int The sum.",
        "Notes: As follows:",
        "Mind the gap.",
        "one",
        "two",
    )


def test_google_style_and_sphinx_fields() -> None:
    google = '''
def f(x):
    """Do the thing well.

    Args:
        x (int): What to do,
            and how.
        y: Why.

    Returns:
        Something.

    Example:
        >>> f(1)
        2

    That is all.
    """
    return x
'''
    assert section(google, "f").paragraphs == (
        "Args: x (int): What to do, and how.",
        "y: Why.",
        "Returns: Something.",
        "That is all.",
    )
    sphinx = '''
def f(x):
    """
    Do the thing well.

    :param int x: What to do.
    :type y: str
    :returns: Something.
    :raises ValueError: if not
    """
    return x
'''
    assert section(sphinx, "f").paragraphs == (
        "x: What to do.",
        "Returns: Something.",
        "Raises ValueError: if not",
    )


def test_a_short_summary_is_a_paragraph_and_parameters_are_no_summary() -> None:
    short = section('def f():\n    """Sum up."""\n    return 1\n', "f")
    assert (short.summary, short.paragraphs) == ("", ("Sum up.",))
    bare = section(
        'def f(a):\n    """\n    a (`int`):\n        The size of it.\n    """\n    g()\n', "f"
    )
    assert (bare.summary, bare.paragraphs) == ("", ("a (int): The size of it.",))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('"""Says a lot of things."""', ""),
        ('"""Says a lot of things."""\n    pass', ""),
        ('"""Says a lot of things."""\n    ...', ""),
        ('"""Says a lot of things."""\n    raise NotImplementedError("no")', ""),
        ('"""Says a lot of things."""; return 1', "def f():\n    return 1"),
        ('"""Says a lot of things."""  # noqa\n    return 1', "def f():\n    return 1"),
        ('"""Says a lot of things."""\n    x = """\na\n"""', 'def f():\n    x = """\na\n"""'),
    ],
)
def test_code_beside_the_docstring(body: str, code: str) -> None:
    assert section(f"def f():\n    {body}\n", "f").code == code


def test_a_definition_on_one_line() -> None:
    assert section('def f(): "Says what it is"; return 1\n', "f").code == "def f(): return 1"


def test_long_code_is_cut_at_a_line_end() -> None:
    source = 'def f():\n    """Count very far."""\n' + "    x = 123456789\n" * 1000
    code = section(source, "f").code
    assert CODE_LIMIT - 20 < len(code) <= CODE_LIMIT
    assert code.endswith("    x = 123456789")


def test_definitions_in_branches_are_read_once_and_overloads_never() -> None:
    source = '''
from typing import overload
try:
    def f(x):
        """The first of two."""
        return 1
except ImportError:
    def f(x):
        """The second of two."""
        return 2

@overload
def g(x):
    """Only a type is given."""

def g(x):
    """What is really done."""
    return x
'''
    assert [(s.heading, s.summary) for s in read(source).sections] == [
        ("f", "The first of two."),
        ("g", "What is really done."),
    ]


def test_without_documented_definitions_the_code_is_one_section() -> None:
    assert read("# Numbers\nx = 1\n").sections == (Section(code="# Numbers\nx = 1"),)
    document = read('"""All numbers."""\n\nx = 1\n\ndef f():\n    return x\n')
    assert document.title == "All numbers."
    assert document.sections == (Section(code="x = 1\n\ndef f():\n    return x"),)
    assert read("").sections == read('"""All numbers."""').sections == ()


@pytest.mark.parametrize(
    ("content", "summary"),
    [
        (
            "# coding: latin-1\ndef f():\n    'Drink some café now.'\n    return 1\n".encode(
                "latin-1"
            ),
            "é",
        ),
        (b"\xef\xbb\xbfdef f():\n    'Drink some caf\xc3\xa9 now.'\n    return 1\n", "é"),
        (b"def f():\r\n\t'Drink some cafe now.'\r\n\treturn 1\r\n", "e"),
        (b"def f():\n    'Drink some cafe now.'\n\x0c\n    return 1\n", "e"),
    ],
)
def test_encodings_and_line_ends(content: bytes, summary: str) -> None:
    found = read_python(content, "m", "m").sections[0]
    assert found.summary == f"Drink some caf{summary} now."
    assert found.code.split() == ["def", "f():", "return", "1"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"def f(:\n", "not Python source: invalid syntax, line 1"),
        (b"# coding: klingon\n'Doc.'\n", "not Python source in the encoding it declares"),
        (b"'caf\xe9'\n", "not Python source in the encoding it declares"),
        (b"'a\0b'\n", "not Python source"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "not Python source"),
    ],
)
def test_bad_input(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput) as error:
        read_python(content, "m", "m")
    assert str(error.value).startswith(reason)


def test_half_a_character_is_replaced() -> None:
    assert section("def f():\n    'Has half \\ud800 in it.'\n    g()", "f").summary == (
        "Has half ? in it."
    )


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab :`*_<>[]().,-=~\n\t\"'#%{}>@"))
def test_any_docstring_can_be_read(text: str) -> None:
    source = f"def f():\n    {text!r}\n    return 1\n"
    (found,) = read(source).sections
    assert found.code.startswith("def f():")
