"""Who asks a generator for what, and when; and what became of it. All servers get the same plans."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.harness.failure import BenchFailure
from bench.harness.rounds import at_quantile


@dataclass(frozen=True)
class Request:
    # Which of the plan's prompts.
    prompt: int
    # How many, whatever they are.
    tokens: int


@dataclass(frozen=True)
class Lane:
    """A caller: it comes so many seconds after the beginning and makes its requests one after the other."""

    start: float
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Plan:
    # In the model's tokens.
    prompts: list[list[int]]
    lanes: list[Lane]
    # 0: the likeliest token; 1: as likely as the model says, of all tokens.
    temperature: float = 0.0

    def line(self) -> str:
        """As the programs that carry it out read it."""
        lanes = [
            {"start": lane.start, "requests": [[request.prompt, request.tokens] for request in lane.requests]}
            for lane in self.lanes
        ]
        return json.dumps({"prompts": self.prompts, "lanes": lanes, "temperature": self.temperature})


@dataclass(frozen=True)
class Answer:
    """Times are in seconds from the plan's beginning."""

    lane: int
    request: int
    # When it was to begin: at its lane's start, or when its predecessor had ended.
    due: float
    # When each token came.
    times: list[float]
    tokens: list[int]

    @property
    def first_token_seconds(self) -> float:
        return self.times[0] - self.due

    def gaps(self, begin: float = 0.0, end: float = float("inf")) -> Iterator[float]:
        """Seconds between a token and the next, for those gaps that end in the interval."""
        return (b - a for a, b in itertools.pairwise(self.times) if begin <= b < end)


@dataclass(frozen=True)
class Outcome:
    """What became of a plan's requests, by lane and request."""

    answers: list[Answer]
    client_cpu_seconds: float

    @staticmethod
    def parse(plan: Plan, name: str, text: str) -> Outcome:
        """Raises unless every request got all of its tokens, one after the other, and had its whole prompt computed."""
        try:
            report = json.loads(text)
            answers = [Outcome._answer(plan, name, fields) for fields in report["answers"]]
            cpu = report["client_cpu_seconds"]
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise BenchFailure(f"{name}: unexpected report ({error!r}):\n{text[:1000]}") from error
        answers.sort(key=lambda answer: (answer.lane, answer.request))
        expected = [(lane, request) for lane, one in enumerate(plan.lanes) for request in range(len(one.requests))]
        if [(answer.lane, answer.request) for answer in answers] != expected:
            raise BenchFailure(f"{name}: {len(answers)} of {len(expected)} requests were answered")
        return Outcome(answers, cpu)

    @staticmethod
    def _answer(plan: Plan, name: str, fields: dict[str, Any]) -> Answer:
        request = plan.lanes[fields["lane"]].requests[fields["request"]]
        if fields["status"] != "OK":
            raise BenchFailure(f"{name}: a request ended with {fields['status']}")
        answer = Answer(fields["lane"], fields["request"], fields["due"], fields["times"], fields["tokens"])
        if (len(answer.tokens), len(answer.times)) != (request.tokens, request.tokens):
            raise BenchFailure(f"{name}: {len(answer.tokens)} tokens where {request.tokens} were asked for")
        if answer.times != sorted(answer.times) or answer.times[0] < answer.due:
            raise BenchFailure(f"{name}: tokens came before their time")
        computed = fields["prompt_tokens"] - fields["cached_prompt_tokens"]
        if computed != len(plan.prompts[request.prompt]):
            raise BenchFailure(f"{name}: computed {computed} tokens of a prompt of {len(plan.prompts[request.prompt])}")
        return answer

    @property
    def seconds(self) -> float:
        """Until the last token."""
        return max(answer.times[-1] for answer in self.answers)

    @property
    def tokens_per_second(self) -> float:
        """Generated ones, of all callers together; the prompts' are not counted, but their time is."""
        return sum(len(answer.tokens) for answer in self.answers) / self.seconds

    def first_token_ms(self) -> list[float]:
        """In order of size."""
        return sorted(1000 * answer.first_token_seconds for answer in self.answers)

    def gaps_ms(self, begin: float = 0.0) -> list[float]:
        """Of all answers together, those that end after `begin`, in order of size."""
        return sorted(1000 * gap for answer in self.answers for gap in answer.gaps(begin))


def quantiles(outcomes: Sequence[list[float]]) -> tuple[float, float]:
    """The median and the 99th percentile of all values of several rounds together."""
    ordered = sorted(value for values in outcomes for value in values)
    return at_quantile(ordered, 0.5), at_quantile(ordered, 0.99)


def constant(prompts: list[list[int]], streams: int, answers: int, tokens: int, temperature: float = 0.0) -> Plan:
    """So many callers who come at once, each with so many requests, one after the other."""
    lanes = [
        Lane(0.0, tuple(Request((lane + streams * i) % len(prompts), tokens) for i in range(answers)))
        for lane in range(streams)
    ]
    return Plan(prompts, lanes, temperature)


def poisson(prompts: list[list[int]], rate: float, seconds: float, tokens: int, seed: int) -> Plan:
    """Callers who come at random, so many a second on average, whatever became of those before them."""
    random = np.random.default_rng(seed)
    lanes, now = list[Lane](), 0.0
    while (now := now + random.exponential(1 / rate)) < seconds or not lanes:
        lanes.append(Lane(now, (Request(len(lanes) % len(prompts), tokens),)))
    return Plan(prompts, lanes)


def interference(
    prompts: list[list[int]], streams: int, tokens: int, long_prompts: list[list[int]], start: float
) -> Plan:
    """`streams` callers, and beside them one who has the long prompts computed, if any, one after the other."""
    lanes = [Lane(0.0, (Request(lane, tokens),)) for lane in range(streams)]
    if long_prompts:
        requests = tuple(Request(len(prompts) + i, 1) for i in range(len(long_prompts)))
        lanes.append(Lane(start, requests))
    return Plan(prompts + long_prompts, lanes)


def beside_prompts(outcome: Outcome, streams: int) -> list[float]:
    """Gaps of `interference` that ended while a long prompt was being computed, in milliseconds, ordered by size."""
    prompts = [answer for answer in outcome.answers if answer.lane == streams]
    begin, end = prompts[0].due, prompts[-1].times[-1]
    gaps = sorted(1000 * gap for answer in outcome.answers if answer.lane < streams for gap in answer.gaps(begin, end))
    if not gaps:
        raise BenchFailure("no token came while a long prompt was computed")
    return gaps
