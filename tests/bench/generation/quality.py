"""The part of `scripts/bench generation` that compares answers' quality: one text, one program, everybody's logits.

Everybody reads the same tokens, whatever it would have said itself, and gives its logits after each. Their logarithms
of probability of the token that really follows are computed here, so that nothing but the logits can differ.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness.failure import BenchFailure
from bench.harness.line_process import LineProcess


@dataclass(frozen=True)
class Likelihood:
    """Of one engine: the natural logarithm of the probability of each token but the texts' first."""

    name: str
    logarithms: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.logarithms.mean())

    @property
    def perplexity(self) -> float:
        return float(np.exp(-self.mean))

    def less(self, other: "Likelihood") -> tuple[float, float]:
        """By how much its mean is above the other's, and the standard error: the tokens are the same."""
        difference = self.logarithms - other.logarithms
        return float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5)


def likelihoods(engines: list[LineProcess], texts: list[list[int]], folder: Path) -> list[Likelihood]:
    """Of each engine; the texts are equally long."""
    return [_likelihood(engine, texts, folder / "logits.bin") for engine in engines]


def _likelihood(engine: LineProcess, texts: list[list[int]], file: Path) -> Likelihood:
    found = json.loads(engine.ask(json.dumps({"score": texts, "file": str(file)})))
    logits = np.memmap(file, np.float32, "r").reshape(len(texts[0]), len(texts), found["vocabulary"])
    result = Likelihood(engine.name, log_probabilities(logits, np.array(texts)))
    file.unlink()
    if not np.isfinite(result.logarithms).all():
        raise BenchFailure(f"{engine.name} gave logits that are no numbers")
    return result


def log_probabilities(logits: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Of each token of the texts but the first, by logits after each token of each text."""
    found = []
    for position in range(texts.shape[1] - 1):
        rows = logits[position].astype(np.float64)
        largest = rows.max(axis=1)
        total = largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
        found.append(rows[np.arange(len(rows)), texts[:, position + 1]] - total)
    return np.concatenate(found)


def print_quality(found: list[Likelihood]) -> None:
    """The first is ours."""
    ours = found[0]
    print(f"\nquality: {len(ours.logarithms)} tokens of one text, each after what really came before it")
    for one in found:
        line = f"{one.name:>16}: mean log-likelihood {one.mean:.4f}, perplexity {one.perplexity:.3f}"
        if one is not ours:
            difference, error = ours.less(one)
            line += f"; {ours.name}'s mean is {difference:+.4f} above it (standard error {error:.4f})"
        print(line)


def as_json(found: list[Likelihood]) -> dict[str, Any]:
    return {
        "tokens": len(found[0].logarithms),
        "engines": {one.name: {"mean_log_likelihood": one.mean, "perplexity": one.perplexity} for one in found},
        "differences": {one.name: found[0].less(one) for one in found[1:]},
    }
