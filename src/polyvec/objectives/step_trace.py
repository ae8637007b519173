"""Plain numbers about the last step of an objective, gathered while it computes."""

from __future__ import annotations

from torch import Tensor


class StepTrace:
    """Amounts, and what they are shares of, summed over the parts of a step.

    Nothing is read from the device before it is asked for, so that a step need not wait.

    Example:
        >>> trace = StepTrace()
        >>> trace.add("masked_share", 1, of=4)
        >>> trace.add("masked_share", 2, of=4)
        >>> trace.numbers()
        {'masked_share': 0.375}
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor | float, Tensor | float]] = {}

    def add(self, name: str, amount: Tensor | float, of: Tensor | float | None = None) -> None:
        """Add to an amount; with ``of``, its share of that is told, nan where that is 0 throughout."""
        before, whole = self._sums.get(name, (0.0, 1.0 if of is None else 0.0))
        self._sums[name] = before + amount, whole if of is None else whole + of

    def numbers(self) -> dict[str, float]:
        """Name → number."""
        read = {name: (float(amount), float(of)) for name, (amount, of) in self._sums.items()}
        return {name: amount / of if of else float("nan") for name, (amount, of) in read.items()}
