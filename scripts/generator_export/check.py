"""Compares an exported generator with the reference on a text. The generator runs as it would be served, on several
windows side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from generator_export.checkpoint import Checkpoint
from generator_export.reference import ReferenceModel

# Each window is its own sequence. This fraction of its tokens is the prompt; the others follow one by one.
WINDOW = 512
PROMPT_PART = 8
# How many windows run at once: the logits of all of their tokens are kept.
BATCH = 4


@dataclass(frozen=True)
class Tolerance:
    # The largest relative difference of perplexities, and the largest divergence of the next tokens' likelihoods, in
    # nats.
    perplexity: float
    divergence: float


# For weights in half precision, with everything else in single precision.
PLAIN = Tolerance(0.005, 1e-3)
# For 8-bit activations, and for what K-quants lose.
FUSED = Tolerance(0.01, 0.01)
# For weights that were reduced from more bits to four.
FOUR_BITS = Tolerance(0.15, 0.2)


@dataclass(frozen=True)
class Comparison:
    tokens: int
    reference_perplexity: float
    exported_perplexity: float
    # The Kullback-Leibler divergence from the reference to the exported generator, averaged over tokens.
    divergence: float
    largest_difference: float

    def within(self, tolerance: Tolerance) -> bool:
        change = abs(self.exported_perplexity / self.reference_perplexity - 1)
        return change <= tolerance.perplexity and self.divergence <= tolerance.divergence

    def __str__(self) -> str:
        return (
            f"perplexity {self.exported_perplexity:.4f}, reference {self.reference_perplexity:.4f}, on {self.tokens}"
            f" tokens; divergence {self.divergence:.2e}, logits differ by up to {self.largest_difference:.3f}"
        )


@torch.inference_mode()
def compare(model: Path, checkpoint: Checkpoint, tokens: Sequence[int], window: int = WINDOW) -> Comparison:
    """`tokens` are cut into windows, of which the last one is left out if it is not full."""
    windows = torch.tensor(tokens[: len(tokens) // window * window]).view(-1, window)
    exported, reference = torch.jit.load(model), ReferenceModel(checkpoint)
    prompt = window // PROMPT_PART
    compared = 0
    reference_loss = exported_loss = divergence = largest = 0.0
    for batch in windows.split(BATCH):
        expected = torch.stack([reference.logits(each)[prompt - 1 : -1] for each in batch])
        for step, actual in enumerate(_served(exported, batch, prompt)):
            wanted, targets = expected[:, step], batch[:, prompt + step, None]
            reference_log, exported_log = wanted.log_softmax(-1), actual.log_softmax(-1)
            reference_loss -= float(reference_log.gather(1, targets).sum())
            exported_loss -= float(exported_log.gather(1, targets).sum())
            divergence += float((reference_log.exp() * (reference_log - exported_log)).sum())
            largest = max(largest, float((wanted - actual).abs().max()))
            compared += len(batch)
    return Comparison(
        compared,
        math.exp(reference_loss / compared),
        math.exp(exported_loss / compared),
        divergence / compared,
        largest,
    )


def _served(model: torch.jit.ScriptModule, windows: Tensor, prompt: int) -> Iterator[Tensor]:
    """Yields the logits for token `prompt` of all windows, then for the token after it, and so on."""
    count, window = windows.shape
    cache = model.make_cache(count, window)
    positions = torch.arange(window).repeat(count, 1)
    first = [
        model(windows[i : i + 1, :prompt].contiguous(), positions[:1, :prompt].contiguous(), i, cache)
        for i in range(count)
    ]
    yield torch.cat(first)
    for position in range(prompt, window - 1):
        here = slice(position, position + 1)
        yield model(windows[:, here].contiguous(), positions[:, here].contiguous(), 0, cache)
