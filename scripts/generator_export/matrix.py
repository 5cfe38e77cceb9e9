"""Matrices in the formats that the project's operators multiply by, and how values are converted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from generator_export.groups import GROUP, Groups

# The numbers of rows and columns must be multiples of these.
ROW_MULTIPLE = 16
COLUMN_MULTIPLE = GROUP

_LARGEST_Q4 = 15
_LARGEST_Q8 = 127
# Fractions of a group's range that are tried for its 4-bit form: it is seldom worth representing the ends of the range
# exactly.
_SHRINKS = (0.95, 0.9)
# The number of values that are quantised at a time, so that intermediate results stay in the cache.
_CHUNK = 1 << 18


class Format(IntEnum):
    """Ordered by size, and by how much precision is left."""

    # 4-bit quants with a scale and a minimum for each group of 32.
    Q4 = 4
    # 8-bit quants with a scale for each group of 32.
    Q8 = 8
    # Half precision.
    F16 = 16

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Matrix:
    """Each part has one row for each row of the matrix:
    Q4   uint8 quants [rows, columns], scales and minima in half precision [rows, groups]
    Q8   int8 quants, scales
    F16  the values
    """

    format: Format
    parts: tuple[Tensor, ...]

    @property
    def fits_half_precision(self) -> bool:
        """Whether all numbers that had to be rounded to half precision are still finite."""
        return all(bool(part.isfinite().all()) for part in self.parts if part.dtype == torch.float16)

    def values(self) -> Tensor:
        """float32 [rows, columns]."""
        quants = self.parts[0].float()
        if self.format == Format.F16:
            return quants
        scales, *minima = (part.float().repeat_interleave(GROUP, 1) for part in self.parts[1:])
        return quants * scales + minima[0] if minima else quants * scales

    def rows(self, index: Tensor) -> Matrix:
        """The rows with these indices, in this order."""
        return Matrix(self.format, tuple(part[index] for part in self.parts))

    def padded(self) -> Matrix:
        """The matrix with rows of zeros at the end, up to a multiple of what the operators take at once."""
        missing = -self.parts[0].size(0) % ROW_MULTIPLE
        if not missing:
            return self
        return Matrix(self.format, tuple(torch.nn.functional.pad(part, (0, 0, 0, missing)) for part in self.parts))


def concatenated(matrices: Sequence[Matrix]) -> Matrix:
    """The matrices stacked; all must have the same format."""
    return Matrix(
        matrices[0].format, tuple(torch.cat(parts) for parts in zip(*(each.parts for each in matrices), strict=True))
    )


def from_groups(groups: Groups, rows: int) -> Matrix:
    """Exact if scales and minima can be represented in half precision."""
    parts = (torch.tensor(groups.quants).view(rows, -1), torch.tensor(groups.scales).view(rows, -1).half())
    if groups.minima is None:
        return Matrix(Format.Q8, parts)
    return Matrix(Format.Q4, (*parts, torch.tensor(groups.minima).view(rows, -1).half()))


def quantised(values: Tensor, wanted: Format) -> Matrix:
    """The matrix of `values`, float32 [rows, columns], in this format."""
    if wanted == Format.F16:
        return Matrix(Format.F16, (values.half(),))
    quantise = _quantised_q4 if wanted == Format.Q4 else _quantised_q8
    chunks = [quantise(chunk) for chunk in values.reshape(-1, GROUP).split(_CHUNK // GROUP)]
    return Matrix(wanted, tuple(torch.cat(parts).reshape(values.size(0), -1) for parts in zip(*chunks, strict=True)))


def _quantised_q8(groups: Tensor) -> tuple[Tensor, Tensor]:
    scales = (groups.abs().amax(1, keepdim=True) / _LARGEST_Q8).half()
    return _quants(groups, scales.float(), -_LARGEST_Q8, _LARGEST_Q8).to(torch.int8), scales


def _quantised_q4(groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each group the best of some ranges, each with the scale and minimum that fit its quants best."""
    lowest, highest = groups.aminmax(dim=1, keepdim=True)
    middle, half_range = (highest + lowest) / 2, (highest - lowest) / 2
    best = _fitted_q4(groups, half_range * (2 / _LARGEST_Q4), lowest)
    for shrink in _SHRINKS:
        tried = _fitted_q4(groups, half_range * (2 * shrink / _LARGEST_Q4), middle - half_range * shrink)
        better = tried[-1] < best[-1]
        best = tuple(torch.where(better, new, old) for new, old in zip(tried, best, strict=True))
    quants, scales, minima, _ = best
    return quants.to(torch.uint8), scales.half(), minima.half()


def _fitted_q4(groups: Tensor, scales: Tensor, minima: Tensor) -> tuple[Tensor, ...]:
    """Quants, scales, minima, squared errors: after least squares over the quants that `scales` and `minima` give."""
    quants = _quants(groups - minima, scales, 0, _LARGEST_Q4)
    quant_means, means = quants.mean(1, keepdim=True), groups.mean(1, keepdim=True)
    deviations = quants - quant_means
    # If all values are equal, all quants are 0.
    spread = deviations.square().sum(1, keepdim=True).clamp_min(1e-3)
    scales = ((deviations * groups).sum(1, keepdim=True) / spread).half().float()
    minima = (means - scales * quant_means).half().float()
    quants = _quants(groups - minima, scales, 0, _LARGEST_Q4)
    errors = (quants * scales + minima - groups).square().sum(1, keepdim=True)
    return quants, scales, minima, errors


def _quants(values: Tensor, scales: Tensor, least: int, most: int) -> Tensor:
    inverse = torch.where(scales > 0, 1 / scales, 0.0)
    return (values * inverse).round_().clamp_(least, most)
