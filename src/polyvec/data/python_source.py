"""Python source: what modules, classes and functions say of themselves, beside their code.

Nothing is imported or run; the source is parsed.
"""

from __future__ import annotations

import ast
import gc
import io
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from polyvec.data.docstrings import Docstring, parse_docstring
from polyvec.data.documents import Document, Link, Section
from polyvec.errors import BadInput

CODE_LIMIT = 4000
"""Characters of a definition that are kept."""
LEAST_SUMMARY = 3
"""Words that a docstring's first sentence needs to stand for the code as its summary."""

_Definition: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class _Documented:
    """A definition with a docstring, under its name inside the module."""

    name: str
    path: tuple[str, ...]
    node: _Definition


def read_python(content: bytes, id: str, group: str) -> Document:
    r"""Read one module.

    The first section holds the module's own docstring; then comes a section for each class,
    function and method with a docstring, its summary and its code apart. A class shows its
    documented methods as signatures, because each of them has a section of its own. Where nothing
    is documented, the module's code is one section.

    Args:
        content: the file, in any encoding that Python itself accepts.
        id: the module's dotted name, or the path of the file.
        group: what the module belongs to, its top-level package.

    Returns:
        The document; links with names that this module does not define keep the name as their
        target.

    Raises:
        BadInput: when the source cannot be decoded or parsed.

    Example:
        >>> source = b'def area(r):\n    "Area of a circle of radius r."\n    return 3.14 * r * r\n'
        >>> section = read_python(source, "shapes", "shapes").sections[0]
        >>> section.heading, section.summary
        ('area', 'Area of a circle of radius r.')
        >>> print(section.code)
        def area(r):
            return 3.14 * r * r
    """
    text = _decoded(content)
    module = _parsed(text)
    lines = text.encode().split(b"\n")
    opening = _docstring(module)
    documented = list(_first_of_each_name(_documented(module.body, ())))
    separate = {definition.node for definition in documented}
    known = {definition.name for definition in documented}
    sections = [
        Section(paragraphs=opening.paragraphs, links=_resolved(opening.links, "", id, known)),
        *(_section(d, _code(d.node, lines, separate), id, known) for d in documented),
    ]
    if not documented:
        sections.append(Section(code=_module_code(module, lines)))
    told = (s for s in sections if s.paragraphs or s.summary or s.code or s.links)
    return Document(id, opening.summary or id, group, tuple(told))


def _decoded(content: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise BadInput(f"not Python source in the encoding it declares ({error})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parsed(text: str) -> ast.Module:
    collecting = gc.isenabled()
    gc.disable()  # a tree has no cycles, and looking for some takes a third of the time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in somebody else's strings
            return ast.parse(text)
    except SyntaxError as error:
        raise BadInput(f"not Python source: {error.msg}, line {error.lineno}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadInput(f"not Python source that can be parsed ({error})") from None
    finally:
        if collecting:
            gc.enable()


def _docstring(node: ast.Module | _Definition) -> Docstring:
    written = ast.get_docstring(node) or ""
    # An escape may stand for half a character, which no file and no tokenizer takes.
    return parse_docstring(written.encode(errors="replace").decode())


def _documented(body: Iterable[ast.AST], path: tuple[str, ...]) -> Iterator[_Documented]:
    for node in body:
        if not isinstance(node, _DEFINITIONS):
            yield from _documented(_statements(node), path)
            continue
        name = f"{path[-1]}.{node.name}" if path else node.name
        if ast.get_docstring(node, clean=False) is not None and not _is_overload(node):
            yield _Documented(name, path, node)
        if isinstance(node, ast.ClassDef):
            yield from _documented(node.body, (*path, name))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Statements inside a statement: both branches of an ``if``, the handlers of a ``try``."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        inside = getattr(node, field, None)
        if isinstance(inside, list):
            yield from inside


def _first_of_each_name(definitions: Iterable[_Documented]) -> Iterator[_Documented]:
    """A property's setter, or the other branch of an ``if``, repeats a name already described."""
    seen = set()
    for definition in definitions:
        if definition.name not in seen:
            seen.add(definition.name)
            yield definition


def _is_overload(node: _Definition) -> bool:
    return any(
        getattr(decorator, "id", getattr(decorator, "attr", "")) == "overload"
        for decorator in node.decorator_list
    )


def _section(definition: _Documented, code: str, id: str, known: set[str]) -> Section:
    docstring = _docstring(definition.node)
    telling = len(docstring.summary.split()) >= LEAST_SUMMARY
    untold = (docstring.summary,) if docstring.summary and not telling else ()
    return Section(
        heading=definition.name,
        path=definition.path,
        anchor=definition.name,
        paragraphs=(*untold, *docstring.paragraphs),
        summary=docstring.summary if telling else "",
        code=code,
        links=_resolved(docstring.links, definition.name, id, known),
    )


def _resolved(links: Iterable[Link], name: str, id: str, known: set[str]) -> tuple[Link, ...]:
    """Links to definitions of this module lead there, names looked up from the inside out."""
    found = []
    for link in links:
        target = link.target.removeprefix(f"{id}.")
        scopes = (name, name.rpartition(".")[0], "")
        candidates = (f"{scope}.{target}" if scope else target for scope in scopes)
        anchor = next((candidate for candidate in candidates if candidate in known), "")
        if anchor != name or not anchor:
            found.append(Link(link.text, f"{id}#{anchor}" if anchor else link.target))
    return tuple(found)


def _code(node: _Definition, lines: list[bytes], separate: set[_Definition]) -> str:
    """The source of a definition without docstrings; empty if there is nothing else in it."""
    if all(_does_nothing(statement) for statement in node.body):
        return ""
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    kept: list[bytes | None] = list(lines[start - 1 : node.end_lineno])
    _drop_docstring(node, kept, start)
    _shorten(node.body, kept, start, separate)
    indent = lines[start - 1][: node.col_offset]
    text = b"\n".join(line.removeprefix(indent).rstrip() for line in kept if line is not None)
    return _cut(text.decode())


def _module_code(module: ast.Module, lines: list[bytes]) -> str:
    kept: list[bytes | None] = list(lines)
    _drop_docstring(module, kept, start=1)
    return _cut(b"\n".join(line for line in kept if line is not None).decode().strip("\n"))


def _does_nothing(statement: ast.stmt) -> bool:
    """Whether a statement of the code that is read says only that somebody else has to write it."""
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)


def _shorten(
    body: Iterable[ast.AST], kept: list[bytes | None], start: int, separate: set[_Definition]
) -> None:
    """Cut what is described elsewhere down to its signature, and all other docstrings out."""
    for node in body:
        if isinstance(node, _DEFINITIONS):
            if node in separate:
                _drop_body(node, kept, start)
                continue
            _drop_docstring(node, kept, start)
        _shorten(_statements(node), kept, start, separate)


def _drop_docstring(node: _Definition | ast.Module, kept: list[bytes | None], start: int) -> None:
    if ast.get_docstring(node, clean=False) is None:
        return
    first = node.body[0]
    top, bottom = first.lineno - start, (first.end_lineno or first.lineno) - start
    before = (kept[top] or b"")[: first.col_offset]
    after = (kept[bottom] or b"")[first.end_col_offset :]
    kept[top : bottom + 1] = [None] * (bottom + 1 - top)
    if before.strip() or not (after.strip() == b"" or after.lstrip().startswith(b"#")):
        kept[top] = before + after.lstrip(b"; ")
    elif bottom + 1 < len(kept) and not (kept[bottom + 1] or b"").strip():
        kept[bottom + 1] = None


def _drop_body(node: _Definition, kept: list[bytes | None], start: int) -> None:
    first = node.body[0]
    top, bottom = first.lineno - start, (node.end_lineno or node.lineno) - start
    before = (kept[top] or b"")[: first.col_offset]
    kept[top : bottom + 1] = [None] * (bottom + 1 - top)
    header = kept[top - 1]
    if not before.strip() and header is not None and header.rstrip().endswith(b":"):
        kept[top - 1] = header.rstrip() + b" ..."
    else:
        kept[top] = before + b"..."


def _cut(code: str) -> str:
    if len(code) <= CODE_LIMIT:
        return code
    return (
        code[: code.rfind("\n", 0, CODE_LIMIT)] if "\n" in code[:CODE_LIMIT] else code[:CODE_LIMIT]
    )
