"""What became of the loads of `scripts/bench generation`, of all rounds and contestants."""

import statistics
from dataclasses import dataclass, field
from typing import Any

from bench.generation.plan import Outcome, quantiles
from bench.harness.failure import BenchFailure
from bench.harness.rounds import at_quantile

# The number of streams of the last line, and of the comparison with the bare model.
HEADLINE = 8
# With the same weights at least so many answers begin with the same token, and with coarser ones at least so many. By
# chance none would.
SAME_BEGINNINGS, COARSE_BEGINNINGS = 0.5, 0.125


@dataclass
class Row:
    """One load: the outcomes of each contestant by its name, one for each round from the first that it took part in."""

    label: str
    # What was asked for, in words that need no table.
    what: str = ""
    # What a generated token counts, where something else is asked for.
    worth: int = 1
    samples: dict[str, list[Outcome]] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        """A second."""
        return [self.worth * outcome.tokens_per_second for outcome in self.samples[name]]

    def ratios(self, name: str, opponent: str) -> list[float]:
        """For each round that both took part in: the rate in units of the opponent's."""
        return [ours / theirs for ours, theirs in zip(self.rates(name), self.rates(opponent), strict=False)]

    def first_token_ms(self, name: str) -> tuple[float, float]:
        return quantiles([outcome.first_token_ms() for outcome in self.samples[name]])

    def gaps_ms(self, name: str) -> tuple[float, float]:
        return quantiles([outcome.gaps_ms() for outcome in self.samples[name]])

    def as_json(self) -> dict[str, Any]:
        return {"load": self.label, "servers": {name: self._server_as_json(name) for name in self.samples}}

    def _server_as_json(self, name: str) -> dict[str, Any]:
        outcomes = self.samples[name]
        found = {
            "per_second": self.rates(name),
            "requests": [len(outcome.answers) for outcome in outcomes],
            "first_token_p50_p99_ms": self.first_token_ms(name),
            "client_cpu_seconds": [outcome.client_cpu_seconds for outcome in outcomes],
        }
        # A single token has none.
        return found | ({"gap_p50_p99_ms": self.gaps_ms(name)} if outcomes[0].gaps_ms() else {})


@dataclass
class Interference:
    """Gaps in milliseconds, ordered by size, for each round, by contestant."""

    alone: dict[str, list[list[float]]] = field(default_factory=dict)
    beside: dict[str, list[list[float]]] = field(default_factory=dict)

    def p99(self, gaps: dict[str, list[list[float]]], name: str) -> list[float]:
        return [at_quantile(row, 0.99) for row in gaps[name]]

    def ratios(self, name: str) -> list[float]:
        """For each round: the p99 beside long prompts in units of that without."""
        return [b / a for a, b in zip(self.p99(self.alone, name), self.p99(self.beside, name), strict=True)]

    def as_json(self) -> dict[str, Any]:
        return {
            name: {
                "alone_p99_ms": self.p99(self.alone, name),
                "beside_p99_ms": self.p99(self.beside, name),
                "ratios": self.ratios(name),
            }
            for name in self.alone
        }


def ratios_by_point(rows: list[Row], opponents: list[str]) -> dict[str, float]:
    """The median ratio to each of the opponents, by what was asked for; the first contestant of a row is ours."""
    return {
        f"{row.what}, {opponent}": statistics.median(row.ratios(next(iter(row.samples)), opponent))
        for row in rows
        for opponent in opponents
    }


def same_beginnings(headline: Row, expected: list[int], less: dict[str, float]) -> dict[str, float]:
    """For each contestant, how many of its first answers begin with the expected tokens, which the bare model gave.

    Raises when these are fewer than SAME_BEGINNINGS, or than `less` allows a contestant.
    """
    shares = {}
    for name, outcomes in headline.samples.items():
        answers = outcomes[0].answers
        found = [(answer.tokens[0], expected[answer.lane + HEADLINE * answer.request]) for answer in answers]
        shares[name] = sum(token == wanted for token, wanted in found) / len(found)
        if shares[name] < less.get(name, SAME_BEGINNINGS):
            share = f"{shares[name]:.0%} of its answers begin as the bare model's"
            raise BenchFailure(f"{name} does not compute the same model: {share}")
    return shares
