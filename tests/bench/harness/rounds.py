"""The order of measurements, and what is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Number = TypeVar("Number", int, float)


def at_quantile(ordered: Sequence[Number], quantile: float) -> Number:
    return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)]


def turn(count: int, first: int) -> list[int]:
    """Who is measured in which order: everyone goes first equally often, so that drift favours nobody."""
    return [(first + i) % count for i in range(count)]


@dataclass(frozen=True)
class Worst:
    """Of several models or points, the one that predictd looks worst at."""

    ratio: float
    where: str

    @staticmethod
    def of(ratios: dict[str, float], less_is_better: bool = False) -> "Worst":
        """Of the ratios by model or point."""
        choose = max if less_is_better else min
        where = choose(ratios, key=lambda name: ratios[name])
        return Worst(ratios[where], where)


def print_last_line(name: str, ratio: float, rounds: Sequence[float] = (), worst: Worst | None = None) -> None:
    """`NAME ratio=VALUE`, which scripts read; if there are any, the range of the rounds' ratios and the worst point."""
    line = f"{name} ratio={ratio:.2f}"
    if len(rounds) > 1:
        line += f" range={min(rounds):.2f}..{max(rounds):.2f}"
    if worst is not None:
        line += f" worst={worst.ratio:.2f} ({worst.where})"
    print(line)
