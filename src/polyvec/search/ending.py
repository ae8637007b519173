"""An end on Ctrl-C and SIGTERM that never falls between two steps which belong together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SLICE = 0.5
"""Seconds between two looks at whether to end."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """While entered, SIGINT and SIGTERM raise KeyboardInterrupt; within `held` only at its end, or the second time.

    Example:
        >>> with Ending() as ending, ending.held():
        ...     ending.asked
        False
    """

    def __init__(self) -> None:
        self.asked = False
        self._holding = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        self._before = {each: signal.signal(each, self._handle) for each in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What belongs together; an end that was asked for meanwhile comes after it."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self.asked:
                raise KeyboardInterrupt

    def wait(self, seconds: float) -> bool:
        """Wait, and return at once with True when an end was asked for."""
        return not _sleep_until(time.monotonic() + seconds, time.monotonic, lambda: self.asked)

    def sleep_until(self, moment: float) -> None:
        """Sleep until a moment of the clock on the wall, which goes on while a machine is suspended."""
        _sleep_until(moment, time.time, lambda: self.asked)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holding and not self.asked:
            self.asked = True
            return
        raise KeyboardInterrupt


def _sleep_until(moment: float, clock: Callable[[], float], ended: Callable[[], bool]) -> bool:
    while not ended():
        left = moment - clock()
        if left <= 0:
            return True
        time.sleep(min(left, _SLICE))
    return False
