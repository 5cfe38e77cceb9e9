"""What predictd adds to the model's own time in `scripts/bench generation`: to the bare model's, and in a step."""

from __future__ import annotations

import re
import statistics
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.generation.contestants import RawWave
from bench.generation.plan import Outcome
from bench.harness.failure import BenchFailure


@dataclass(frozen=True)
class ModelTime:
    """For how long predictd's generator was in the model, since its start."""

    decode_seconds: float
    decode_steps: float
    prefill_seconds: float

    @staticmethod
    def parse(metrics: str) -> ModelTime:
        """Of what predictd exports to Prometheus."""

        def value(name: str, phase: str) -> float:
            pattern = rf'^predictd_generator_step_seconds_{name}\{{[^}}]*phase="{phase}"[^}}]*\}} (\S+)$'
            found = re.search(pattern, metrics, re.MULTILINE)
            if found is None:
                raise BenchFailure(f"predictd has no metric of its {phase} steps:\n{metrics[:1000]}")
            return float(found[1])

        return ModelTime(value("sum", "decode"), value("count", "decode"), value("sum", "prefill"))

    @staticmethod
    def read(port_file: Path) -> ModelTime:
        """From the running predictd that wrote the file."""
        with urllib.request.urlopen(f"http://127.0.0.1:{int(port_file.read_text())}/metrics", timeout=10) as answer:
            return ModelTime.parse(answer.read().decode())

    def since(self, before: ModelTime) -> ModelTime:
        return ModelTime(
            self.decode_seconds - before.decode_seconds,
            self.decode_steps - before.decode_steps,
            self.prefill_seconds - before.prefill_seconds,
        )


@dataclass(frozen=True)
class Step:
    """A step on average, in seconds, with the prompts' time taken out."""

    whole: float
    model: float

    @staticmethod
    def of(outcome: Outcome, model: ModelTime) -> Step:
        """Raises when the model took more time than there was."""
        whole = outcome.seconds - model.prefill_seconds
        if not 0 < model.decode_seconds <= whole:
            raise BenchFailure(f"predictd's metrics say {model}, for {outcome.seconds:.3f} s of answers")
        return Step(whole / model.decode_steps, model.decode_seconds / model.decode_steps)

    @property
    def server_share(self) -> float:
        """Of the scheduler, sampling, detokenising, gRPC and the client, in units of the step."""
        return 1 - self.model / self.whole


@dataclass
class Overhead:
    """For each round, with the headline's number of streams."""

    outcomes: list[Outcome] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    raw: list[list[RawWave]] = field(default_factory=list)

    def add(self, outcome: Outcome, model: ModelTime, raw: list[RawWave]) -> None:
        self.outcomes.append(outcome)
        self.steps.append(Step.of(outcome, model))
        self.raw.append(raw)

    def ratios(self) -> list[float]:
        """For each round: predictd's tokens a second in units of the bare model's."""
        raw = [statistics.harmonic_mean([wave.tokens_per_second for wave in waves]) for waves in self.raw]
        return [outcome.tokens_per_second / alone for outcome, alone in zip(self.outcomes, raw, strict=True)]

    def server_shares(self) -> list[float]:
        return [step.server_share for step in self.steps]

    def print(self, streams: int) -> None:
        waves = [wave for waves in self.raw for wave in waves]
        rate = statistics.median(wave.tokens_per_second for wave in waves)
        prefill = statistics.median(wave.prefill_seconds for wave in waves)
        client = statistics.median(outcome.client_cpu_seconds / outcome.seconds for outcome in self.outcomes)
        whole = 1000 * statistics.median(step.whole for step in self.steps)
        model = 1000 * statistics.median(step.model for step in self.steps)
        ratios, shares = self.ratios(), self.server_shares()
        print(
            f"\nthe bare model at {streams} streams: {rate:.1f} tokens/s ({prefill:.2f} s for the prompts at once);"
            f" overhead ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f});"
            f" predictd's client took {client:.3f} cores\n"
            f"a step of predictd took {whole:.2f} ms, {model:.2f} of them in the model: server's share"
            f" {statistics.median(shares):.1%} ({min(shares):.1%}..{max(shares):.1%})"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "ratios": self.ratios(),
            "raw": [[wave.tokens_per_second for wave in waves] for waves in self.raw],
            "server_shares": self.server_shares(),
            "step_seconds": [step.whole for step in self.steps],
            "model_seconds_per_step": [step.model for step in self.steps],
        }
