"""What can be chosen of a generator folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_LENGTH = 2048
KERNELS_VARIABLE = "PREDICTD_KERNELS"


def default_kernels() -> Path:
    """The library of the project's own operators: where the environment says, or where the build leaves it."""
    built = Path(__file__).resolve().parents[2] / "build" / "lib" / "libpredictd_kernels.so"
    return Path(os.environ.get(KERNELS_VARIABLE) or built)


@dataclass(frozen=True)
class FolderOptions:
    # What people are told of the model; None: the name that its source gives it.
    description: str | None = None
    version: int = 1
    # Sequences that run at once.
    slots: int = 16
    # Positions of a sequence, prompt and answer together; None: what the model can do, up to DEFAULT_LENGTH.
    max_length: int | None = None
    # Whether to use the project's own operators, if the model fits them. What follows is only about these.
    fused: bool = True
    # f16, q8 or q4 for all matrices, or source for what each has there.
    weights: str = "source"
    # Keys and values: f16 or f32.
    cache: str = "f16"
    # The library of the operators.
    kernels: Path = field(default_factory=default_kernels)
