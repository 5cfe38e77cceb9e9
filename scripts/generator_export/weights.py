"""Reads a checkpoint's matrices in the formats of the operators, and keeps account of what that loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from generator_export.checkpoint import Checkpoint
from generator_export.errors import ExportError
from generator_export.matrix import Format, Matrix, concatenated, from_groups, quantised

# For the types of the sources. Q4_0, Q4_1, Q5_0, Q8_0 and F16 keep all that they hold.
FORMATS = {
    "Q4_0": Format.Q4,
    "Q4_1": Format.Q4,
    "Q4_K": Format.Q4,
    "Q5_0": Format.Q8,
    "Q5_1": Format.Q8,
    "Q5_K": Format.Q8,
    "Q6_K": Format.Q8,
    "Q8_0": Format.Q8,
    "F16": Format.F16,
    "BF16": Format.F16,
    "F32": Format.F16,
}


@dataclass
class Loss:
    """What is lost of tensors of one type in one format."""

    tensors: int = 0
    squared_values: float = 0.0
    squared_errors: float = 0.0

    def add(self, values: Tensor, errors: Tensor) -> None:
        self.tensors += 1
        self.squared_values += float(values.square().sum())
        self.squared_errors += float(errors.square().sum())

    def __str__(self) -> str:
        relative = (self.squared_errors / self.squared_values) ** 0.5
        return f"relative RMS error {relative:.2e} over {self.tensors} tensors"


class Weights:
    """A checkpoint's matrices, read when they are asked for."""

    def __init__(self, checkpoint: Checkpoint, chosen: Format | None) -> None:
        """`chosen` is the format of all matrices; without it each keeps what it has in the source, if it can."""
        self._checkpoint = checkpoint
        self._chosen = chosen
        self._losses: dict[tuple[str, Format], Loss] = {}

    def table(self, name: str) -> Matrix:
        """The embedding, or the head. Four bits are not chosen for one: the answers suffer more than the size gains."""
        return self._joined([name], Format.Q8 if self._chosen == Format.Q4 else self._chosen)

    def joined(self, *names: str) -> Matrix:
        """One matrix below the other, in the largest of their formats."""
        return self._joined(names, self._chosen)

    def losses(self) -> list[str]:
        """A line for each type that does not keep all of its values."""
        return [
            f"{stored} stored as {wanted}: {loss}"
            for (stored, wanted), loss in sorted(self._losses.items())
            if loss.squared_errors
        ]

    def _joined(self, names: Sequence[str], chosen: Format | None) -> Matrix:
        wanted = chosen or max(FORMATS[self._checkpoint.stored_type(name)] for name in names)
        return concatenated([self._matrix(name, wanted) for name in names])

    def _matrix(self, name: str, wanted: Format) -> Matrix:
        stored, values = self._checkpoint.stored_type(name), self._checkpoint.tensor(name)
        groups = self._checkpoint.groups(name) if FORMATS[stored] == wanted else None
        matrix = from_groups(groups, len(values)) if groups else quantised(values, wanted)
        if not matrix.fits_half_precision:
            raise ExportError(f"{self._checkpoint.source}: the weights of {name} do not fit half precision")
        self._losses.setdefault((stored, wanted), Loss()).add(values, matrix.values() - values)
        return matrix
