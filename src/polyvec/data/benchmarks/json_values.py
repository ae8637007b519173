"""JSON files value by value, each with its place for errors: ``data[3].paragraphs[0].context``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from polyvec.data.benchmarks.files import content
from polyvec.errors import BadInput


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A value in a JSON file, and where it is."""

    value: object
    path: Path
    place: str = ""

    def wrong(self, problem: str) -> BadInput:
        """The error that says what is wrong with this value."""
        return BadInput(f"{self.path}: {self.place or 'the whole file'}: {problem}")

    def part(self, key: str) -> JsonValue:
        """What an object holds under ``key``.

        Raises:
            BadInput: when this is no object or has no such key.
        """
        if not isinstance(self.value, dict):
            raise self.wrong(f"not an object; it would be one with {key!r}")
        if key not in self.value:
            there = ", ".join(map(repr, self.value)) or "nothing"
            raise self.wrong(f"no {key!r} in it; there is {there}")
        place = f"{self.place}.{key}" if self.place else key
        return JsonValue(self.value[key], self.path, place)

    def parts(self) -> dict[str, JsonValue]:
        """All that an object holds.

        Raises:
            BadInput: when this is no object.
        """
        if not isinstance(self.value, dict):
            raise self.wrong("not an object")
        return {key: self.part(key) for key in self.value}

    def items(self, key: str = "") -> list[JsonValue]:
        """The items of the list under ``key``, or of this itself.

        Raises:
            BadInput: when that is no list.
        """
        held = self.part(key) if key else self
        if not isinstance(held.value, list):
            raise held.wrong("not a list")
        place = held.place
        return [JsonValue(item, self.path, f"{place}[{i}]") for i, item in enumerate(held.value)]

    def text(self, key: str = "") -> str:
        """The string under ``key``, or this itself.

        Raises:
            BadInput: when that is no string, has only white space, or half a surrogate pair.
        """
        held = self.part(key) if key else self
        if not isinstance(held.value, str) or not held.value.strip():
            raise held.wrong("not a string with text in it")
        try:
            held.value.encode()
        except UnicodeEncodeError:
            raise held.wrong("half a surrogate pair in it") from None
        return held.value

    def whole(self, key: str) -> int:
        """The whole number under ``key``.

        Raises:
            BadInput: when that is none.
        """
        held = self.part(key)
        if not isinstance(held.value, int) or isinstance(held.value, bool):
            raise held.wrong("not a whole number")
        return held.value

    def zero_or_one(self, key: str) -> int:
        """The number under ``key``.

        Raises:
            BadInput: when that is neither 0 nor 1.
        """
        number = self.whole(key)
        if number not in (0, 1):
            raise self.part(key).wrong(f"{number} is neither 0 nor 1")
        return number


def read_json_value(path: Path) -> JsonValue:
    """Read a JSON file in UTF-8, perhaps compressed with gzip.

    Raises:
        BadInput: naming the file, and the line where there is one, when it is damaged or not JSON.
    """
    try:
        return JsonValue(json.loads(content(path).decode("utf-8-sig")), path)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not utf-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}: not JSON ({error.msg})") from None
    except RecursionError:
        raise BadInput(f"{path}: JSON nested too deeply") from None
    except ValueError as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: not JSON ({error})") from None  # a number of thousands of digits
