"""How programming languages write comments and begin definitions, as far as one line shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """What a family of languages looks like.

    Attributes:
        comment: what a comment to the end of the line starts with.
        blocks: what a comment over several lines starts and ends with.
        container: a line that begins a definition with others inside; its group is the name.
        definitions: lines that begin other definitions.
        terminator: what ends a definition where indentation does not; empty where it does.
    """

    comment: tuple[str, ...]
    blocks: tuple[tuple[str, str], ...]
    container: re.Pattern[str]
    definitions: tuple[re.Pattern[str], ...]
    terminator: str = ""

    def name(self, line: str) -> str:
        """The name that a line, its indentation removed, defines; empty if it defines none."""
        if len(line) > _LONGEST_LINE:
            return ""
        line = _ATTRIBUTES.sub("", line)
        matches = (pattern.match(line) for pattern in (self.container, *self.definitions))
        return next((match[1] for match in matches if match), "")

    def contains(self, line: str) -> bool:
        """Whether a line begins a definition with others inside."""
        return len(line) <= _LONGEST_LINE and bool(self.container.match(_ATTRIBUTES.sub("", line)))


_LONGEST_LINE = 500
"""Characters above which a line is data; the patterns would take long for it."""
_ATTRIBUTES = re.compile(r"(?:@(?!interface)[\w.:]+(?:\([^)]*\))?\s+|#!?\[[^\]]*\]\s*)+")
_C_BLOCK = (("/*", "*/"),)
_NOTHING = re.compile(r"(?!)")
_NAME = r"([A-Za-z_$][\w$.:]*+)"
_MODIFIERS = (
    r"(?:(?:abstract|actual|async|case|companion|const|data|declare|default|expect|export|extern|"
    r"fileprivate|final|implicit|indirect|infix|inline|inner|internal|lazy|local|mutating|open|"
    r"operator|override|partial|private|protected|pub(?:\([^)]*\))?|public|readonly|sealed|static|"
    r"suspend|tailrec|typedef|unsafe|value|\"C\")\s+)*"
)
_WITH_BODY = r"(?!.*;$)"
_NO_STATEMENT = (
    r"(?!(?:if|else|elif|for|foreach|while|do|switch|case|catch|with|until|unless|when|return|throw|"
    r"new|delete|await|yield|goto|using|import|typedef|package|assert|function)\b)"
)

_KEYWORD_CONTAINER = re.compile(
    _WITH_BODY
    + _MODIFIERS
    + r"(?:class|interface|struct|enum(?:\s+class)?|union|trait|protocol|extension|object|"
    r"module|namespace|mod|impl(?:<[^>]*>)?(?:\s+[\w:<>,&' ]+?\s+for)?)\s+" + _NAME
)
_TYPED_CONTAINER = re.compile(
    _WITH_BODY
    + _MODIFIERS
    + r"(?:class|interface|@interface|struct|enum(?:\s+(?:class|struct))?|union|record|namespace|trait)"
    # A type may begin a function or variable: struct point *move(struct point *p)
    rf"\s+(?:[A-Z\d_]+(?:\([^)]*\))?\s+)?{_NAME}(?!\s*[*&]|\s+\w+\s*[(=;\[,])"
)
_SCRIPT_CONTAINER = re.compile(
    _WITH_BODY + _MODIFIERS + r"(?:class|interface|enum|namespace|module|trait)\s+" + _NAME
)
_KEYWORD = re.compile(
    _MODIFIERS + r"(?:function\s*\*?|func|fun|fn|def|sub|macro|macro_rules!|type|typealias)\s*"
    r"(?:\([^)]*\)\s*|<[^>]*>\s*)?(?<!\w)([A-Za-z_$][\w$.:]*+[?!]?)"
)
_ASSIGNED_FUNCTION = re.compile(
    _MODIFIERS
    + r"(?:let\s+|var\s+|val\s+)?([A-Za-z_$][\w$.]*)\s*(?::[^=]*)?(?:=|<-|:)\s*(?:async\s*)?"
    r"(?:function\b|\([^)]*\)\s*(?::[^=]*)?=>|[\w$]+\s*=>|class\b)"
)
_SHORT_FUNCTION = re.compile(r"(\w+[?!]?)\([^=]*\)\s*(?:where\s.*)?=(?!=)")
_CONSTANT = re.compile(
    _MODIFIERS + r"(?:const\s+|static\s+)?([A-Z][A-Z\d_]+)\b\s*(?::[^=]*)?=(?![=>])"
)
_METHOD = re.compile(
    r"(?!(?:if|else|for|while|do|switch|catch|with|function)\b)"
    + r"(?!.*\bfunction\b)"
    + _MODIFIERS
    + r"(?:(?:get|set)\s+)?\*?"
    r"(#?[A-Za-z_$][\w$]*+)\s*(?:<[^>]*>)?\([^;'\"`]*\)[^;=()]*\{$"
)
_TYPED = re.compile(
    _NO_STATEMENT
    + r"(?:(?:[\w:<>,.?&*\[\]]+\s+)+|(?=[\w:~]+::~?\w+\s*\())[*&]*([A-Za-z_~][\w:~]*+)"
    r"\s*\([^;={}]*(?:\)[^;=]*(?:=\s*(?:0|default|delete)\s*)?)?[;{]?$"
)
_PROPERTY = re.compile(_NO_STATEMENT + r"(?:[\w<>\[\],.?]+\s+)+(\w+)\s*(?:\{|=>)")
_MACRO = re.compile(r"#\s*define\s+(\w+)")
_SQL = re.compile(
    r"create\s+(?:or\s+replace\s+)?(?:(?:temp|temporary|unique|materialized|external|global)\s+)*"
    r"(?:table|view|function|procedure|trigger|index|type|schema|sequence)\s+"
    r"(?:if\s+not\s+exists\s+)?[\"`\[]?([\w.]+)",
    re.IGNORECASE,
)

_SCRIPT = Language(
    ("//",), _C_BLOCK, _SCRIPT_CONTAINER, (_KEYWORD, _ASSIGNED_FUNCTION, _METHOD, _CONSTANT)
)
_TYPED_LANGUAGE = Language(("//",), _C_BLOCK, _TYPED_CONTAINER, (_MACRO, _TYPED, _PROPERTY))
_KEYWORDS = (_KEYWORD, _ASSIGNED_FUNCTION, _CONSTANT)
_LANGUAGES = {
    ".js .mjs .cjs .jsx .ts .tsx": _SCRIPT,
    ".java .c .h .cc .cpp .cxx .hh .hpp .cu .cs .dart .groovy": _TYPED_LANGUAGE,
    ".go .rs .swift .kt .kts .scala": Language(("//",), _C_BLOCK, _KEYWORD_CONTAINER, _KEYWORDS),
    ".php": Language(("//", "# "), _C_BLOCK, _SCRIPT_CONTAINER, _KEYWORDS),
    ".rb": Language(("#",), (("=begin", "=end"),), _KEYWORD_CONTAINER, _KEYWORDS),
    ".jl": Language(
        ("#",),
        (("#=", "=#"), ('"""', '"""')),
        re.compile(r"(?:baremodule|module)\s+(\w+)"),
        (
            re.compile(r"(?:mutable\s+)?struct\s+(\w+)"),
            re.compile(r"(?:abstract|primitive)\s+type\s+(\w+)"),
            *_KEYWORDS,
            _SHORT_FUNCTION,
        ),
    ),
    ".lua": Language(("--",), (("--[[", "]]"),), _NOTHING, _KEYWORDS),
    ".r": Language(("#",), (), _NOTHING, (_ASSIGNED_FUNCTION,)),
    ".pl .pm": Language(("#",), (), _NOTHING, (_KEYWORD,)),
    ".sh .bash": Language(
        ("#",),
        (),
        _NOTHING,
        (re.compile(r"function\s+([\w:-]+)"), re.compile(r"([\w:-]+)\s*\(\)\s*\{?$")),
    ),
    ".sql": Language(("--",), _C_BLOCK, _NOTHING, (_SQL,), terminator=";"),
}
LANGUAGES = {suffix: found for suffixes, found in _LANGUAGES.items() for suffix in suffixes.split()}
"""The language of each suffix."""
