"""Compares an exported generator with the reference on a text: as it would be served, in windows side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from generator_export.checkpoint import Checkpoint
from generator_export.reference import ReferenceModel

# Perplexities may differ by this part, and the likelihoods of next tokens by this divergence, in nats.
PERPLEXITY_TOLERANCE = 0.005
DIVERGENCE_TOLERANCE = 1e-3
# Each window is a sequence of its own. The first half of its tokens is a prompt, the others come one by one.
WINDOW = 256


@dataclass(frozen=True)
class Comparison:
    tokens: int
    reference_perplexity: float
    exported_perplexity: float
    # Kullback-Leibler, mean over tokens, from the reference to what was exported.
    divergence: float
    largest_difference: float

    @property
    def close(self) -> bool:
        change = abs(self.exported_perplexity / self.reference_perplexity - 1)
        return change <= PERPLEXITY_TOLERANCE and self.divergence <= DIVERGENCE_TOLERANCE

    def __str__(self) -> str:
        return (
            f"perplexity {self.exported_perplexity:.4f}, reference {self.reference_perplexity:.4f}, on {self.tokens}"
            f" tokens; divergence {self.divergence:.2e}, logits differ by up to {self.largest_difference:.3f}"
        )


@torch.inference_mode()
def compare(model: Path, checkpoint: Checkpoint, tokens: Sequence[int], window: int = WINDOW) -> Comparison:
    """`tokens` are cut into windows, of which the last one is left out if it is not full."""
    windows = torch.tensor(tokens[: len(tokens) // window * window]).view(-1, window)
    reference = ReferenceModel(checkpoint)
    prompt = window // 2
    compared = 0
    reference_loss = exported_loss = divergence = largest = 0.0
    expected = [reference.logits(each)[prompt - 1 : -1] for each in windows]
    for step, actual in enumerate(_served(torch.jit.load(model), windows, prompt)):
        wanted = torch.stack([logits[step] for logits in expected])
        targets = windows[:, prompt + step, None]
        reference_log, exported_log = wanted.log_softmax(-1), actual.log_softmax(-1)
        reference_loss -= float(reference_log.gather(1, targets).sum())
        exported_loss -= float(exported_log.gather(1, targets).sum())
        divergence += float((reference_log.exp() * (reference_log - exported_log)).sum())
        largest = max(largest, float((wanted - actual).abs().max()))
        compared += len(windows)
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
    positions = torch.arange(window).expand(count, -1)
    first = [model(windows[i : i + 1, :prompt], positions[:1, :prompt], i, cache) for i in range(count)]
    yield torch.cat(first)
    for position in range(prompt, window - 1):
        here = slice(position, position + 1)
        yield model(windows[:, here], positions[:, here], 0, cache)
