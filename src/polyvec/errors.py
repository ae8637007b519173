"""The one error a person is meant to read: a sentence that says what is wrong, where, and what would be right."""

from __future__ import annotations


class BadInput(ValueError):
    """What was given cannot be used; the message is one sentence for the person who gave it.

    The command line prints the message and exits with 2, without a traceback.

    Example:
        >>> raise BadInput("docs/: no readable document; give a folder with .md, .html or .txt files")
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: docs/: no readable document; give a folder with .md, .html or .txt files
    """


class MissingExtra(BadInput, ImportError):
    """A library of an extra is not installed; the message names the extra and the command that installs it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed; install it with: pip install 'polyvec[{extra}]'"
        )
