"""What can be chosen of a generator folder."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_LENGTH = 2048


@dataclass(frozen=True)
class FolderOptions:
    # What people are told of the model; None: the name that its source gives it.
    description: str | None = None
    version: int = 1
    # Sequences that run at once.
    slots: int = 16
    # Positions of a sequence, prompt and answer together; None: what the model can do, up to DEFAULT_LENGTH.
    max_length: int | None = None
