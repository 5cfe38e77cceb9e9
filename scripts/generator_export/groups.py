"""Values as most quantised formats store them: integers in groups of 32 that share a scale, and maybe a minimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

GROUP = 32


@dataclass(frozen=True)
class Groups:
    """Each value is its quant * scale + minimum."""

    # Integers [groups, 32]: unsigned if there are minima, otherwise signed.
    quants: numpy.ndarray
    # float32 [groups, 1], like the minima.
    scales: numpy.ndarray
    minima: numpy.ndarray | None = None

    def values(self) -> numpy.ndarray:
        """float32 [groups, 32]."""
        values = self.quants.astype(numpy.float32) * self.scales
        return values if self.minima is None else values + self.minima
