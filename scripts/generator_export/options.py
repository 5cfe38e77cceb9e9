"""The options of a generator folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_LENGTH = 2048
KERNELS_VARIABLE = "PREDICTD_KERNELS"


def default_kernels() -> Path:
    """The library of the project's own operators: where the environment says, or where the build puts it."""
    built = Path(__file__).resolve().parents[2] / "build" / "lib" / "libpredictd_kernels.so"
    return Path(os.environ.get(KERNELS_VARIABLE) or built)


@dataclass(frozen=True)
class FolderOptions:
    # What people are told about the model; None for the name in its source.
    description: str | None = None
    version: int = 1
    # How many sequences run at once.
    slots: int = 16
    # Positions of a sequence, prompt and answer together; None for what the model can do, up to DEFAULT_LENGTH.
    max_length: int | None = None
    # The Jinja template for chats. None for the source's own, "" for none at all.
    chat_template: str | None = None
    # Whether to use the project's own operators, if they suit the model. The following options are only for these.
    fused: bool = True
    # f16, q8 or q4 for all matrices, or source for the format that each has in the source.
    weights: str = "source"
    # The type of keys and values: f16 or f32.
    cache: str = "f16"
    # The library of the operators.
    kernels: Path = field(default_factory=default_kernels)
