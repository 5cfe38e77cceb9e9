"""The architecture of a Llama-family decoder: the numbers that do not follow from its weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from generator_export.rope import Rope


class Rotation(Enum):
    """Which elements of a head the rotary position embedding rotates together: j and ..."""

    ADJACENT_PAIRS = "j + 1"
    HALVES = "j + half of the head"


@dataclass(frozen=True)
class Context:
    """How long a sequence may be."""

    length: int
    # Why it may not be longer, if there is more to say than that the model was not trained for more.
    reason: str | None = None
    # Whether the model was trained for more.
    shortened: bool = False

    def up_to(self, length: int, reason: str) -> Context:
        return self if self.length <= length else Context(length, reason, shortened=True)


# No model has more of whatever its configuration counts: such a file is broken, and loops over it would not end.
LARGEST_NUMBER = 1 << 31
LARGEST_HEAD = 1 << 14


@dataclass(frozen=True)
class Architecture:
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward_width: int
    vocabulary_size: int
    context: Context
    norm_epsilon: float
    rotation: Rotation
    rope: Rope
