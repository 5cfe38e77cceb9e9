"""`scripts/bench connections`: what thousands of idle connections or streams cost those that are active.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.harness.contestants import Contestant, Sample, Stage
from bench.harness.load import Point
from bench.harness.machine import Watch, machine
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import Worst, at_quantile, print_last_line, turn
from bench.idle import descriptors
from bench.idle.idlers import SERVER_DESCRIPTORS, Crowd, descriptor_limit, idle, limited, most_connections

ROUNDS = 9
SECONDS = 0.8
ACTIVE = Point(8, 256)
WATCH = "/grpc.health.v1.Health/Watch"
STREAM_CONNECTIONS = 100
ALONE = "active only"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--idle",
        type=int,
        help="idle connections, and streams (default 10,000 or what open files allow, with --quick 500)",
    )
    add_flags_argument(parser)
    parser.add_argument("--active", type=Point.parse, default=ACTIVE, help=f"connections x calls (default: {ACTIVE})")


def targets(options: argparse.Namespace) -> list[str]:
    return ["predictd"]


@dataclass
class Rounds:
    """The samples of each server by name, in the order of the rounds."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        return [sample.calls_per_second for sample in self.samples[name]]

    def latencies(self, name: str, quantile: float) -> list[int]:
        return [at_quantile(sample.latencies_us, quantile) for sample in self.samples[name]]

    def rate_ratio(self, name: str) -> float:
        """Throughput in units of that without idle ones; the median of the rounds'."""
        return statistics.median(rate / alone for rate, alone in zip(self.rates(name), self.rates(ALONE), strict=True))

    def latency_ratio(self, name: str, quantile: float) -> float:
        pairs = zip(self.latencies(name, quantile), self.latencies(ALONE, quantile), strict=True)
        return statistics.median(latency / alone for latency, alone in pairs)


def run(options: argparse.Namespace) -> dict[str, Any]:
    count = options.idle or (500 if options.quick else min(10_000, most_connections()))
    with ExitStack() as stack:
        stage = Stage(options, stack)
        nothing = stage.folder / "watch.bin"
        nothing.write_bytes(b"")
        crowds = {
            ALONE: None,
            f"{count:,} idle connections": Crowd(count),
            f"{count:,} idle streams": Crowd(STREAM_CONNECTIONS, count // STREAM_CONNECTIONS, WATCH, nothing),
        }
        wrapper = limited(descriptor_limit(count, SERVER_DESCRIPTORS))
        servers = []
        for name, crowd in crowds.items():
            server = stage.predictd(name, wrapper=wrapper)
            servers.append(stage.contest(server, stage.linear))
            if crowd is not None:
                started = time.monotonic()
                stack.enter_context(idle(server.address, crowd))
                print(f"{name}: open after {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
        print(f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each server at {options.active}")
        with Watch([contestant.server for contestant in servers]) as watch:
            rounds = measure(servers, options, watch)
        for contestant in servers:
            contestant.check_last()
    print_table(rounds)
    watch.print()
    exhaustion = descriptors.run(options)
    names = [name for name in rounds.samples if name != ALONE]
    worst = Worst.of({name: rounds.latency_ratio(name, 0.99) for name in names}, less_is_better=True)
    print("\nthe ratio: p99 beside idle connections or streams, whichever is worse, over that without (less is better)")
    print_last_line("connections", worst.ratio, worst=worst)
    return {
        "benchmark": "connections",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "active": str(options.active),
        **watch.as_json(),
        "ratio": worst.ratio,
        "worst": asdict(worst),
        "out_of_descriptors": exhaustion,
        "servers": {
            name: {
                "calls_per_second": rounds.rates(name),
                "cpu_us_per_call": [sample.cpu_us_per_call for sample in samples],
                "p50_us": rounds.latencies(name, 0.5),
                "p99_us": rounds.latencies(name, 0.99),
            }
            for name, samples in rounds.samples.items()
        },
    }


def measure(servers: list[Contestant], options: argparse.Namespace, watch: Watch) -> Rounds:
    rounds = Rounds({server.name: [] for server in servers})
    for round_index in range(options.rounds):
        for i in turn(len(servers), round_index):
            with watch.sample():
                sample = servers[i].measure(options.active, options.seconds, latencies=True)
            rounds.samples[servers[i].name].append(sample)
        print(f"round {round_index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return rounds


def print_table(rounds: Rounds) -> None:
    print("server                     calls/s  ratio   p50 us   p99 us  p99 ratio  CPU us/call")
    for name, samples in rounds.samples.items():
        p50, p99 = (statistics.median(rounds.latencies(name, quantile)) for quantile in (0.5, 0.99))
        cpu = statistics.median(sample.cpu_us_per_call for sample in samples)
        rate = statistics.median(rounds.rates(name))
        print(
            f"{name:24} {rate:9,.0f} {rounds.rate_ratio(name):6.2f} {p50:8,.0f} {p99:8,.0f}"
            f" {rounds.latency_ratio(name, 0.99):10.2f} {cpu:12.1f}"
        )
