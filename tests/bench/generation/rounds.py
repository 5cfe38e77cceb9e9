"""The rounds of `scripts/bench generation` with one model: who gets which load when."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.generation.contestants import Contest, PlanRunner, RawWave, cut_prompts
from bench.generation.models import BenchModel
from bench.generation.overhead import ModelTime, Overhead
from bench.generation.plan import Outcome, Plan, beside_prompts, constant, interference, poisson
from bench.generation.quality import Likelihood, likelihoods
from bench.generation.results import COARSE_BEGINNINGS, HEADLINE, Interference, Row, same_beginnings
from bench.harness.machine import Watch
from bench.harness.rounds import turn

PROMPTS = 32
# Beside which long prompts are computed.
RUNNING_STREAMS = 4
# It answers one request at a time, so it takes minutes for what takes the others seconds.
HTTP_ROUNDS, HTTP_ANSWERS = 1, 1


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    points: list[int]
    prompt_tokens: int = 64
    tokens: int = 128
    # Of each stream, one after the other.
    answers: int = 1
    prefill_tokens: int = 128
    # That many at once, or one after the other.
    prefills: int = 8
    # In units of the capacity.
    arrivals: list[float] = field(default_factory=lambda: [0.5, 0.8])
    long_prompt_tokens: int = 512
    long_prompts: int = 2
    running_tokens: int = 192
    # Of the prompts, where context is what matters; how many streams have such, and how long their answers are.
    contexts: list[int] = field(default_factory=lambda: [1000, 2000])
    context_streams: list[int] = field(default_factory=lambda: [1, 4])
    context_tokens: int = 48
    # Texts whose tokens' probabilities are compared, and how long each is.
    scored_texts: int = 16
    scored_tokens: int = 128


def same_for_all(plan: Plan) -> Callable[[PlanRunner], Plan]:
    return lambda _: plan


class Measurement:
    """All parts but scaling, in rounds. What was measured is in the fields."""

    def __init__(
        self,
        options: argparse.Namespace,
        parts: list[str],
        sizes: Sizes,
        contest: Contest,
        model: BenchModel,
        watch: Watch,
    ) -> None:
        self._options = options
        self._parts = parts
        self._sizes = sizes
        self._contest = contest
        self._watch = watch

        def prompts(count: int, tokens: int) -> list[list[int]]:
            return cut_prompts(options, model.tokenizer_file, count, tokens)

        self._prompts = prompts(PROMPTS, sizes.prompt_tokens)
        self._prefill_prompts = prompts(sizes.prefills, sizes.prefill_tokens)
        self._long_prompts = prompts(sizes.long_prompts, sizes.long_prompt_tokens)
        self._context_prompts = {tokens: prompts(max(sizes.context_streams), tokens) for tokens in sizes.contexts}
        self._texts = prompts(sizes.scored_texts, sizes.scored_tokens)
        # Without that part only what the last line needs.
        points = sizes.points if {"streams", "http"} & set(parts) else [HEADLINE]
        self.streams = {count: Row(str(count), f"{count} stream{'s' * (count > 1)}") for count in points}
        prefills = (1, sizes.prefills) if "prefill" in parts else ()
        self.prefill = {
            count: Row(str(count), f"prompts of {sizes.prefill_tokens}, {count} at once", sizes.prefill_tokens)
            for count in prefills
        }
        self.temperature = Row("1", f"{HEADLINE} streams at temperature 1")
        self.contexts = {
            (tokens, count): Row(
                f"{tokens} x {count}", f"{tokens} tokens of context, {count} stream{'s' * (count > 1)}"
            )
            for tokens in (sizes.contexts if "contexts" in parts else [])
            for count in sizes.context_streams
        }
        self.poisson = {load: Row(f"{load:g}") for load in sizes.arrivals} if "poisson" in parts else {}
        self.interference = Interference()
        self.overhead = Overhead()
        self._first_raw: list[RawWave] = []

    def warm_up(self) -> None:
        plan = constant(self._prompts, HEADLINE, 1, 8)
        for runner in (self._contest.predictd, self._contest.llama_q4_1, self._contest.llama_q4_0):
            runner.run(plan)
        if self._contest.llama_http is not None:
            self._contest.llama_http.run(constant(self._prompts, 1, 1, 8))
        self._contest.raw.generate(self._prompts[:HEADLINE], 8)

    def run_round(self, index: int) -> None:
        contest = self._contest
        runners = [contest.predictd, contest.llama_q4_1, contest.llama_q4_0]
        for place, (count, row) in enumerate(self.streams.items()):
            if index == 0 or "streams" in self._parts:
                self._run_streams(row, count, index, index + place)
        if "temperature" in self._parts:
            plan = constant(self._prompts, HEADLINE, self._sizes.answers, self._sizes.tokens, temperature=1.0)
            self._run(self.temperature, runners, same_for_all(plan), index)
        for place, ((tokens, count), row) in enumerate(self.contexts.items()):
            plan = constant(self._context_prompts[tokens], count, 1, self._sizes.context_tokens)
            self._run(row, runners, same_for_all(plan), index + place)
        for place, (count, row) in enumerate(self.prefill.items()):
            plan = constant(self._prefill_prompts, count, self._sizes.prefills // count, 1)
            self._run(row, runners, same_for_all(plan), index + place)
        capacity = self.streams[max(self.streams)]
        for load, row in self.poisson.items():

            def arrivals(runner: PlanRunner, load: float = load) -> Plan:
                rate = load * capacity.rates(runner.name)[-1] / self._sizes.tokens
                return poisson(self._prompts, rate, self._options.seconds, self._sizes.tokens, index + 1)

            self._run(row, [contest.predictd, contest.llama_q4_1], arrivals, index)
        if "interference" in self._parts:
            self._interfere(index)

    def rates(self) -> list[Row]:
        """All that is about how many tokens everybody makes with the same work."""
        return [*self.streams.values(), *self.prefill.values(), self.temperature, *self.contexts.values()]

    def quality(self) -> list[Likelihood]:
        return likelihoods(self._contest.engines, self._texts, self._contest.folder)

    def same_beginnings(self) -> dict[str, float]:
        """Of the answers at the headline's point; raises when somebody cannot compute the same model."""
        expected = [tokens[0] for wave in self._first_raw for tokens in wave.tokens]
        coarser = self._contest.llama_q4_0.name
        return same_beginnings(self.streams[HEADLINE], expected, {coarser: COARSE_BEGINNINGS})

    def _run_streams(self, row: Row, count: int, index: int, first: int) -> None:
        contest = self._contest
        runners = [contest.predictd, contest.llama_q4_1, contest.llama_q4_0]
        if contest.llama_http is not None and index < HTTP_ROUNDS:
            runners.append(contest.llama_http)

        def plan(runner: PlanRunner) -> Plan:
            answers = HTTP_ANSWERS if runner is contest.llama_http else self._sizes.answers
            return constant(self._prompts, count, answers, self._sizes.tokens)

        if count != HEADLINE:
            self._run(row, runners, plan, first)
            return
        before = ModelTime.read(contest.metrics_port_file)
        self._run(row, runners, plan, first)
        model = ModelTime.read(contest.metrics_port_file).since(before)
        raw = [self._raw_wave(wave) for wave in range(self._sizes.answers)]
        self._first_raw = self._first_raw or raw
        self.overhead.add(row.samples[contest.predictd.name][-1], model, raw)

    def _run(self, row: Row, runners: list[PlanRunner], plan: Callable[[PlanRunner], Plan], first: int) -> None:
        """Each once, in turning order."""
        outcomes: dict[int, Outcome] = {}
        for i in turn(len(runners), first):
            with self._watch.sample():
                outcomes[i] = runners[i].run(plan(runners[i]))
        for i, runner in enumerate(runners):
            row.samples.setdefault(runner.name, []).append(outcomes[i])

    def _raw_wave(self, wave: int) -> RawWave:
        prompts = [self._prompts[(wave * HEADLINE + i) % PROMPTS] for i in range(HEADLINE)]
        return self._contest.raw.generate(prompts, self._sizes.tokens)

    def _interfere(self, index: int) -> None:
        few, tokens = self._prompts[:RUNNING_STREAMS], self._sizes.running_tokens
        runners = [self._contest.predictd, self._contest.llama_q4_1]
        for i in turn(len(runners), index):
            with self._watch.sample():
                undisturbed = runners[i].run(interference(few, RUNNING_STREAMS, tokens, [], 0.0))
            # When all of them are running: before that they wait for each other's prompts.
            start = 0.25 * undisturbed.seconds
            plan = interference(few, RUNNING_STREAMS, tokens, self._long_prompts, start)
            with self._watch.sample():
                beside = beside_prompts(runners[i].run(plan), RUNNING_STREAMS)
            self.interference.alone.setdefault(runners[i].name, []).append(undisturbed.gaps_ms(start))
            self.interference.beside.setdefault(runners[i].name, []).append(beside)
