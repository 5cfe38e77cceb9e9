"""How fast the machine itself was during each sample, by a control that does the same all the time (spinner.py).

The loop's speed for each second of CPU time changes with the clock and with what shares the core beneath the system;
that for each second of time also with who else wants the core, and with what the host takes away.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.harness.spinner import LOOPS

# Of a sample that has fewer there is nothing to say.
FEWEST_TURNS = 3


@dataclass(frozen=True)
class Turn:
    """The loop once."""

    began: float
    cpu_seconds: float
    seconds: float

    @staticmethod
    def parse(text: str) -> "list[Turn]":
        """What spinner.py printed; its last line may be incomplete."""
        complete = text[: text.rfind("\n") + 1].splitlines()
        return [Turn(*map(float, line.split())) for line in complete]


@dataclass
class Control:
    """Loops in a second, a figure for each sample."""

    of_cpu_time: list[float] = field(default_factory=list)
    of_time: list[float] = field(default_factory=list)

    @staticmethod
    def of(turns: Sequence[Turn], samples: Sequence[tuple[float, float]]) -> "Control":
        """Samples are from when until when, by the monotonic clock."""
        control = Control()
        for begin, end in samples:
            within = [turn for turn in turns if begin <= turn.began < end]
            if len(within) >= FEWEST_TURNS:
                control.of_cpu_time.append(LOOPS * len(within) / sum(turn.cpu_seconds for turn in within))
                control.of_time.append(LOOPS * len(within) / sum(turn.seconds for turn in within))
        return control

    def print(self) -> None:
        if not self.of_time:
            print("the samples were too short for the control")
            return
        print(
            f"the control, in {len(self.of_time)} samples: {spread(self.of_cpu_time)} million loops in a second of CPU"
            f" time, {spread(self.of_time)} in a second"
        )

    def as_json(self) -> dict[str, Any]:
        return {"loops_per_cpu_second": self.of_cpu_time, "loops_per_second": self.of_time}


def spread(rates: Sequence[float]) -> str:
    """The median in millions, and by how much the lowest and the highest differ from it."""
    middle = statistics.median(rates)
    return f"{middle / 1e6:.1f} ({min(rates) / middle - 1:+.0%}..{max(rates) / middle - 1:+.0%})"
