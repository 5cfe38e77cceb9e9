"""Reads a checkpoint's matrices in the formats of the operators, and keeps account of what that loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generator_export.checkpoint import Checkpoint
from generator_export.errors import ExportError
from generator_export.matrix import Format, Matrix, concatenated, from_groups, quantised

# The formats for the types of the sources. Q4_0, Q4_1, Q5_0, Q8_0, IQ4_NL and F16 lose nothing. Types that are not
# named here are quantised in other ways and get eight bits: with four they would lose much.
FORMATS = {
    **dict.fromkeys(("Q4_0", "Q4_1", "Q4_K"), Format.Q4),
    **dict.fromkeys(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"), Format.F16),
}


def format_of(stored_type: str) -> Format:
    return FORMATS.get(stored_type, Format.Q8)


_VALUES_AT_ONCE = 1 << 24


@dataclass
class Loss:
    """What the tensors of one type lose in one format."""

    tensors: int = 0
    squared_values: float = 0.0
    squared_errors: float = 0.0

    def add(self, values: Tensor, matrix: Matrix) -> None:
        """`matrix` is the result of converting `values`. They are compared in parts, because several copies of a large
        matrix would take much memory."""
        self.tensors += 1
        rows = max(1, _VALUES_AT_ONCE // values.size(1))
        for index in torch.arange(values.size(0)).split(rows):
            part = values[index]
            self.squared_values += float(part.square().sum())
            self.squared_errors += float((matrix.rows(index).values() - part).square().sum())

    def __str__(self) -> str:
        relative = (self.squared_errors / self.squared_values) ** 0.5
        return f"relative RMS error {relative:.2e} over {self.tensors} tensors"


class Weights:
    """A checkpoint's matrices, read when they are asked for."""

    def __init__(self, checkpoint: Checkpoint, chosen: Format | None) -> None:
        """`chosen` is the format of all matrices; without it each keeps its format in the source, if possible."""
        self._checkpoint = checkpoint
        self._chosen = chosen
        self._losses: dict[tuple[str, Format], Loss] = {}

    def table(self, name: str) -> Matrix:
        """The embedding or the head. Four bits are not chosen for it: answers would suffer more than the size gains."""
        return self._joined([name], Format.Q8 if self._chosen == Format.Q4 else self._chosen)

    def joined(self, *names: str) -> Matrix:
        """The matrices stacked, in the largest of their formats."""
        return self._joined(names, self._chosen)

    def losses(self) -> list[str]:
        """A line for each type that does not keep all of its values."""
        return [
            f"{stored} stored as {wanted}: {loss}"
            for (stored, wanted), loss in sorted(self._losses.items())
            if loss.squared_errors
        ]

    def _joined(self, names: Sequence[str], chosen: Format | None) -> Matrix:
        wanted = chosen or max(format_of(self._checkpoint.stored_type(name)) for name in names)
        return concatenated([self._matrix(name, wanted) for name in names])

    def _matrix(self, name: str, wanted: Format) -> Matrix:
        stored, values = self._checkpoint.stored_type(name), self._checkpoint.tensor(name)
        groups = self._checkpoint.groups(name) if format_of(stored) == wanted else None
        matrix = from_groups(groups, len(values)) if groups else quantised(values, wanted)
        if not matrix.fits_half_precision:
            raise ExportError(f"{self._checkpoint.source}: the weights of {name} do not fit half precision")
        self._losses.setdefault((stored, wanted), Loss()).add(values, matrix)
        return matrix
