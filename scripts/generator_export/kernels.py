"""Loads the library of the project's own operators, torch.ops.predictd."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from generator_export.errors import ExportError
from generator_export.matrix import Format, Matrix
from generator_export.options import KERNELS_VARIABLE


def load_kernels(path: Path) -> None:
    """Without the library, modules that use the operators can neither be made nor loaded."""
    if not path.exists():
        raise ExportError(
            f"{path}: there is no such file: `ninja -C build predictd_kernels` builds the operators; --kernels or"
            f" {KERNELS_VARIABLE} says where else they are; --operators plain does without"
        )
    try:
        torch.ops.load_library(path)
    except OSError as error:
        raise ExportError(f"{path}: {error}") from None


def packed(matrix: Matrix) -> Tensor:
    """The matrix as the operators read it, with rows of zeros at the end if they need more rows."""
    pack = {
        Format.Q4: torch.ops.predictd.pack_q4,
        Format.Q8: torch.ops.predictd.pack_q8,
        Format.F16: torch.ops.predictd.pack_f16,
    }
    return pack[matrix.format](*matrix.padded().parts)
