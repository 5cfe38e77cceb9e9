"""What a decoder of the Llama family looks like: the numbers that its weights do not say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Rotation(Enum):
    """Which elements of a head are turned together by the rotary position embedding: j and ..."""

    ADJACENT_PAIRS = "j + 1"
    HALVES = "j + half of the head"


@dataclass(frozen=True)
class Architecture:
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward_width: int
    vocabulary_size: int
    # The longest sequence that the model was trained for.
    context_length: int
    norm_epsilon: float
    rotation: Rotation
    # Radians per position, for each pair of elements of a head.
    frequencies: Sequence[float]


def rope_frequencies(base: float, head_width: int) -> list[float]:
    return [base ** (-2 * pair / head_width) for pair in range(head_width // 2)]


def llama3_frequencies(
    frequencies: Sequence[float], factor: float, low_factor: float, high_factor: float, original_context: int
) -> list[float]:
    """Slows down the pairs that turn less than `low_factor` times within the original context by `factor`, leaves those
    that turn more than `high_factor` times, and goes from one to the other smoothly."""
    scaled = []
    for frequency in frequencies:
        turns = original_context * frequency / (2 * math.pi)
        kept = min(1.0, max(0.0, (turns - low_factor) / (high_factor - low_factor)))
        scaled.append(frequency * (kept + (1 - kept) / factor))
    return scaled
