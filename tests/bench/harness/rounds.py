"""The order of measurements, and what is made of them."""

from collections.abc import Sequence
from typing import TypeVar

Number = TypeVar("Number", int, float)


def at_quantile(ordered: Sequence[Number], quantile: float) -> Number:
    return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)]


def turn(count: int, first: int) -> list[int]:
    """Who is measured in which order: everyone goes first equally often, so that drift favours nobody."""
    return [(first + i) % count for i in range(count)]
