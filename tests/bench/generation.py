"""`scripts/bench generation`: tokens a second, and when they come, through predictd and through llama.cpp.

README.md beside this file says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import generation_scaling
from bench.failure import BenchFailure
from bench.generation_contestants import TARGETS, Contest, RawWave, contest, cut_prompts, exported_model
from bench.generation_plan import Outcome, beside_prompts, constant, interference, poisson, quantiles
from bench.machine import OtherLoad, machine, print_other_load
from bench.predictd import add_flags_argument
from bench.transport import at_quantile, turn

ROUNDS = 3
SECONDS = 20.0
# The number of streams of the last line, and of the comparison with the bare model.
HEADLINE = 8
PROMPTS = 32
PARTS = ["streams", "poisson", "interference", "scaling"]
# In units of the capacity.
ARRIVALS = [0.5, 0.8]
# What running streams may pay for others' prompts: the p99 of their gaps in units of that without.
RUNNING_STREAMS = 4


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    points: list[int]
    prompt_tokens: int = 64
    tokens: int = 128
    # Of each stream, one after the other.
    answers: int = 2
    arrivals: list[float] = field(default_factory=lambda: ARRIVALS)
    long_prompt_tokens: int = 512
    long_prompts: int = 3
    running_tokens: int = 256


QUICK = Sizes(
    [1, HEADLINE], tokens=16, answers=1, arrivals=[0.5], long_prompt_tokens=128, long_prompts=1, running_tokens=32
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--points", type=parse_points, default=[1, 2, 4, 8, 16], metavar="N,...",
        help=f"streams at once (default: 1,2,4,8,16); {HEADLINE} is always measured",
    )  # fmt: skip
    parser.add_argument(
        "--answers", type=int, default=2, metavar="N", help="of each stream, one after the other (default 2)"
    )
    parser.add_argument(
        "--parts", type=parse_parts, default=PARTS, metavar="NAME,...",
        help=f"default: {','.join(PARTS)}; --seconds is of each load with poisson arrivals",
    )  # fmt: skip
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the scaling")
    add_flags_argument(parser)


def parse_points(text: str) -> list[int]:
    try:
        points = sorted({int(part) for part in text.split(",")} | {HEADLINE})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if points[0] < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be positive numbers")
    return points


def parse_parts(text: str) -> list[str]:
    parts = text.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is not one of {', '.join(PARTS)}")
    return parts


def targets(_: argparse.Namespace) -> list[str]:
    return TARGETS


@dataclass
class Row:
    """One load: for each round its outcome, of predictd and of llama.cpp."""

    label: str
    samples: list[list[Outcome]] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """For each round: predictd's tokens a second in units of llama.cpp's."""
        return [ours.tokens_per_second / theirs.tokens_per_second for ours, theirs in self.samples]

    def rates(self, server: int) -> list[float]:
        return [row[server].tokens_per_second for row in self.samples]

    def first_token_ms(self, server: int) -> tuple[float, float]:
        return quantiles([row[server].first_token_ms() for row in self.samples])

    def gaps_ms(self, server: int) -> tuple[float, float]:
        return quantiles([row[server].gaps_ms() for row in self.samples])


@dataclass
class Interference:
    """Gaps in milliseconds, ordered by size, for each round, of predictd and of llama.cpp."""

    alone: list[list[list[float]]] = field(default_factory=list)
    beside: list[list[list[float]]] = field(default_factory=list)

    def p99(self, gaps: list[list[list[float]]], server: int) -> list[float]:
        return [at_quantile(row[server], 0.99) for row in gaps]

    def ratios(self, server: int) -> list[float]:
        """For each round: the p99 beside long prompts in units of that without."""
        return [b / a for a, b in zip(self.p99(self.alone, server), self.p99(self.beside, server))]


class Measurement:
    """All parts but scaling, in rounds. What was measured is in the fields."""

    def __init__(self, options: argparse.Namespace, sizes: Sizes, servers: Contest, model: Path) -> None:
        self._options = options
        self._sizes = sizes
        self._servers = servers
        self._prompts = cut_prompts(options, model, PROMPTS, sizes.prompt_tokens)
        self._long_prompts = cut_prompts(options, model, sizes.long_prompts, sizes.long_prompt_tokens)
        points = sizes.points if "streams" in options.parts or "poisson" in options.parts else [HEADLINE]
        self.streams = {count: Row(str(count)) for count in points}
        self.raw: list[list[RawWave]] = []
        self.poisson = {load: Row(f"{load:g}") for load in sizes.arrivals} if "poisson" in options.parts else {}
        self.interference = Interference()

    def warm_up(self) -> None:
        plan = constant(self._prompts, HEADLINE, 1, 8)
        for runner in self._servers.runners:
            runner.run(plan)
        self._servers.raw.generate(self._prompts[:HEADLINE], 8)

    def run_round(self, index: int) -> None:
        for place, (count, row) in enumerate(self.streams.items()):
            plan = constant(self._prompts, count, self._sizes.answers, self._sizes.tokens)
            self._add_samples(row, [plan, plan], index + place)
            if count == HEADLINE:
                self.raw.append([self._raw_wave(wave) for wave in range(self._sizes.answers)])
        capacity = self.streams[max(self.streams)]
        for load, row in self.poisson.items():
            rates = [load * capacity.rates(server)[-1] / self._sizes.tokens for server in range(2)]
            seconds, tokens = self._options.seconds, self._sizes.tokens
            self._add_samples(row, [poisson(self._prompts, rate, seconds, tokens, index + 1) for rate in rates], index)
        if "interference" in self._options.parts:
            self._interfere(index)

    def agreement(self, server: int) -> float:
        """Of the requests at the headline's point, how many begin with the token that the bare model gives."""
        expected = [tokens[0] for wave in self.raw[0] for tokens in wave.tokens]
        answers = self.streams[HEADLINE].samples[0][server].answers
        found = {answer.lane + HEADLINE * answer.request: answer.tokens[0] for answer in answers}
        return sum(found[i] == token for i, token in enumerate(expected)) / len(expected)

    def overhead(self) -> list[float]:
        """For each round: predictd's tokens a second in units of the bare model's."""
        raw = [statistics.harmonic_mean([wave.tokens_per_second for wave in waves]) for waves in self.raw]
        return [ours / alone for ours, alone in zip(self.streams[HEADLINE].rates(0), raw)]

    def _raw_wave(self, wave: int) -> RawWave:
        prompts = [self._prompts[(wave * HEADLINE + i) % PROMPTS] for i in range(HEADLINE)]
        return self._servers.raw.generate(prompts, self._sizes.tokens)

    def _add_samples(self, row: Row, plans: list, first: int) -> None:
        samples = {i: self._servers.runners[i].run(plans[i]) for i in turn(2, first)}
        row.samples.append([samples[i] for i in range(2)])

    def _interfere(self, index: int) -> None:
        few, tokens = self._prompts[:RUNNING_STREAMS], self._sizes.running_tokens
        alone, beside = {}, {}
        for i in turn(2, index):
            runner = self._servers.runners[i]
            undisturbed = runner.run(interference(few, RUNNING_STREAMS, tokens, [], 0.0))
            # When all of them are running: before that they wait for each other's prompts.
            start = 0.25 * undisturbed.seconds
            alone[i] = undisturbed.gaps_ms(start)
            plan = interference(few, RUNNING_STREAMS, tokens, self._long_prompts, start)
            beside[i] = beside_prompts(runner.run(plan), RUNNING_STREAMS)
        self.interference.alone.append([alone[i] for i in range(2)])
        self.interference.beside.append([beside[i] for i in range(2)])


def run(options: argparse.Namespace) -> dict:
    sizes = QUICK if options.quick else Sizes(options.points, answers=options.answers)
    model = exported_model(options)
    with contest(options, model) as servers:
        print(
            f"{machine()}; {options.rounds} rounds; {sizes.prompt_tokens} tokens in, {sizes.tokens} out, greedy;"
            f" each stream {sizes.answers} answers, one after the other"
        )
        measured = Measurement(options, sizes, servers, model)
        measured.warm_up()
        others = OtherLoad(servers.processes)
        for index in range(options.rounds):
            measured.run_round(index)
            print(f"round {index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
        busy_elsewhere = others.cores()
    names = [runner.name for runner in servers.runners]
    agreement = [measured.agreement(server) for server in range(2)]
    if min(agreement) < 0.5:
        raise BenchFailure(f"these do not compute the same model: shares of equal first tokens {agreement} of {names}")
    print_rows("streams", names, list(measured.streams.values()))
    print_overhead(measured)
    if measured.poisson:
        print_rows("poisson", names, list(measured.poisson.values()))
    if measured.interference.alone:
        print_interference(measured.interference, names, sizes)
    scaling = generation_scaling.run(options, model) if "scaling" in options.parts else None
    print_other_load(busy_elsewhere)
    shares = ", ".join(f"{share:.0%} of {name}'s" for name, share in zip(names, agreement))
    print(f"all answers were complete; {shares} began with the token that the bare model gives")
    ratio = statistics.median(measured.streams[HEADLINE].ratios())
    print(f"generation ratio={ratio:.2f}")
    return {
        "benchmark": "generation",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "other_load_cores": busy_elsewhere,
        "predictd_flags": options.predictd_flags,
        "ratio": ratio,
        "overhead": measured.overhead(),
        "raw": [[wave.tokens_per_second for wave in waves] for waves in measured.raw],
        "streams": [as_json(row, names) for row in measured.streams.values()],
        "poisson": [as_json(row, names) for row in measured.poisson.values()],
        "interference": {
            name: {
                "alone_p99_ms": measured.interference.p99(measured.interference.alone, i),
                "beside_p99_ms": measured.interference.p99(measured.interference.beside, i),
                "ratios": measured.interference.ratios(i),
            }
            for i, name in enumerate(names)
        },
        "scaling": scaling,
    }


def print_rows(title: str, names: list[str], rows: list[Row]) -> None:
    """Medians over the rounds of the throughput, and quantiles of all rounds' times together."""
    heads = "".join(f"{name:>11}" for name in names)
    times = "".join(f"{name + ' p50, p99':>22}" for name in names)
    print(f"\n{title:8}|{heads} tokens/s | ratio (range)       | first token, ms:{times} | gap, ms:{times}")
    for row in rows:
        rates = "".join(f"{statistics.median(row.rates(i)):11.1f}" for i in range(2))
        ratios = row.ratios()
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        first = "".join(f"{p50:13.0f}, {p99:7.0f}" for p50, p99 in map(row.first_token_ms, range(2)))
        gaps = "".join(f"{p50:13.1f}, {p99:7.1f}" for p50, p99 in map(row.gaps_ms, range(2)))
        print(f"{row.label:>7} |{rates}          | {spread:19} |                 {first} |         {gaps}")


def print_overhead(measured: Measurement) -> None:
    raw = statistics.median(wave.tokens_per_second for waves in measured.raw for wave in waves)
    prefill = statistics.median(wave.prefill_seconds for waves in measured.raw for wave in waves)
    shares = measured.overhead()
    client = statistics.median(
        row[0].client_cpu_seconds / row[0].seconds for row in measured.streams[HEADLINE].samples
    )
    print(
        f"\nthe bare model at {HEADLINE} streams: {raw:.1f} tokens/s ({prefill:.2f} s for the prompts at once);"
        f" overhead ratio {statistics.median(shares):.2f} ({min(shares):.2f}..{max(shares):.2f});"
        f" predictd's client took {client:.3f} cores"
    )


def print_interference(found: Interference, names: list[str], sizes: Sizes) -> None:
    print(f"\np99 of the gaps of {RUNNING_STREAMS} streams, ms, beside prompts of {sizes.long_prompt_tokens} tokens")
    for i, name in enumerate(names):
        alone, beside = statistics.median(found.p99(found.alone, i)), statistics.median(found.p99(found.beside, i))
        ratios = found.ratios(i)
        print(
            f"{name:>10}: {alone:.1f} without, {beside:.1f} with,"
            f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        )


def as_json(row: Row, names: list[str]) -> dict:
    return {
        "load": row.label,
        "ratios": row.ratios(),
        "servers": {
            name: {
                "tokens_per_second": row.rates(i),
                "requests": [len(sample[i].answers) for sample in row.samples],
                "first_token_p50_p99_ms": row.first_token_ms(i),
                "gap_p50_p99_ms": row.gaps_ms(i),
                "client_cpu_seconds": [sample[i].client_cpu_seconds for sample in row.samples],
            }
            for i, name in enumerate(names)
        },
    }
