"""Rotary position embeddings, and the ways in which transformers and llama.cpp stretch them over longer texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rope:
    # Radians per position, for each pair of elements of a head.
    frequencies: Sequence[float]
    # The factor for cosines and sines.
    scale: float = 1.0


@dataclass(frozen=True)
class Yarn:
    """YaRN's settings: pairs that rotate often keep their frequency, and those that rotate seldom are slowed down."""

    factor: float
    original_context: int
    # A pair with at least `beta_fast` turns within the original context is kept, and one with at most `beta_slow` turns
    # is slowed down fully.
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    # Whether the bounds of the transition between these pairs are rounded to whole numbers.
    truncate: bool = True


def rope_frequencies(base: float, head_width: int) -> list[float]:
    return [base ** (-2 * pair / head_width) for pair in range(head_width // 2)]


def linear_frequencies(frequencies: Sequence[float], factor: float) -> list[float]:
    return [frequency / factor for frequency in frequencies]


def llama3_frequencies(
    frequencies: Sequence[float], factor: float, low_factor: float, high_factor: float, original_context: int
) -> list[float]:
    """Slows down by `factor` the pairs that make less than `low_factor` turns within the original context, keeps those
    that make more than `high_factor` turns, and interpolates smoothly between them."""
    scaled = []
    for frequency in frequencies:
        turns = original_context * frequency / (2 * math.pi)
        kept = min(1.0, max(0.0, (turns - low_factor) / (high_factor - low_factor)))
        scaled.append(frequency * (kept + (1 - kept) / factor))
    return scaled


def yarn_frequencies(base: float, head_width: int, yarn: Yarn) -> list[float]:
    def pair_that_turns(times: float) -> float:
        return head_width * math.log(yarn.original_context / (times * 2 * math.pi)) / (2 * math.log(base))

    first, last = pair_that_turns(yarn.beta_fast), pair_that_turns(yarn.beta_slow)
    if yarn.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_width - 1)
    if first == last:
        last += 0.001
    scaled = []
    for pair, frequency in enumerate(rope_frequencies(base, head_width)):
        slowed = min(1.0, max(0.0, (pair - first) / (last - first)))
        scaled.append(frequency * (1 - slowed) + frequency / yarn.factor * slowed)
    return scaled


def yarn_scale(factor: float, weight: float = 1.0) -> float:
    """How much attention is sharpened: the root of the factor for its scores."""
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def longrope_scale(factor: float, original_context: int) -> float:
    return 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original_context))
