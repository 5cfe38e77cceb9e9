"""`scripts/bench transport`: what predictd's unary call costs over the least that gRPC itself costs.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.harness.allocator import add_allocator_argument, allocator_of, print_allocators
from bench.harness.contestants import Contestant, Sample, contestants
from bench.harness.load import Point
from bench.harness.machine import Watch, machine
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import Worst, at_quantile, print_last_line, turn
from bench.transport import profiler

ROUNDS = 9
SECONDS = 0.8
POINTS = [Point(1, 1), Point(1, 8), Point(1, 64), Point(1, 256), Point(8, 8), Point(8, 64), Point(8, 256)]
# The point of the last line, and the one whose latencies are kept.
HEADLINE = Point(1, 64)
LONE_CALL = Point(1, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--points", type=parse_points, default=POINTS, metavar="CxF,...",
        help=f"connections x calls in flight (default: {','.join(map(str, POINTS))}); {HEADLINE} is always measured",
    )  # fmt: skip
    parser.add_argument("--profile", action="store_true", help=f"show where CPU time goes at {HEADLINE}, and end")
    add_flags_argument(parser)
    add_allocator_argument(parser)
    parser.add_argument(
        "--subject-cmd", metavar="COMMAND",
        help="measure this server in predictd's place: it echoes, and prints `listening on HOST:PORT`",
    )  # fmt: skip


def targets(options: argparse.Namespace) -> list[str]:
    return ["bench_echo_server"] + (["predictd"] if options.subject_cmd is None else [])


def parse_points(text: str) -> list[Point]:
    try:
        points = [Point.parse(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return points if HEADLINE in points else [*points, HEADLINE]


@dataclass
class Rounds:
    """The samples of one point: for each round, those of the subject and of the echoes, in the order of their names."""

    point: Point
    names: list[str]
    samples: list[list[Sample]] = field(default_factory=list)

    def throughput_ratios(self) -> list[float]:
        """For each round: the subject's throughput in units of the better echo's of that round."""
        return [row[0].calls_per_second / max(echo.calls_per_second for echo in row[1:]) for row in self.samples]

    def latency_ratios(self, quantile: float) -> list[float]:
        """For each round: the subject's latency in units of the better (lower) echo's of that round."""
        rows = [[at_quantile(sample.latencies_us, quantile) for sample in row] for row in self.samples]
        return [row[0] / min(row[1:]) for row in rows]

    def medians(self, value: str) -> list[float]:
        """The median over the rounds of that field of Sample, for each server."""
        return [
            statistics.median(getattr(sample, value) for sample in column) for column in zip(*self.samples, strict=True)
        ]

    def median_latencies(self, quantile: float) -> list[float]:
        columns = zip(*self.samples, strict=True)
        return [statistics.median(at_quantile(s.latencies_us, quantile) for s in column) for column in columns]


def run(options: argparse.Namespace) -> dict[str, Any]:
    with contestants(options) as servers:
        if options.profile:
            return {"benchmark": "transport", "profile": profiler.profile(servers, HEADLINE, options.seconds)}
        print(f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each point and server")
        print("bytes in an answer: " + ", ".join(f"{server.name} {server.answer_bytes}" for server in servers))
        allocators = {contestant.name: allocator_of(contestant.server.pid) for contestant in servers}
        print_allocators(allocators)
        print()
        with Watch([contestant.server for contestant in servers]) as watch:
            table = measure(servers, options.points, options.rounds, options.seconds, watch)
        checked = sum(server.checked_answers for server in servers)
    print_throughput(table)
    print_latency(table)
    watch.print()
    print(f"{checked} answers were checked by their numbers, all others by their size: none was wrong")
    ratios = next(row for row in table if row.point == HEADLINE).throughput_ratios()
    worst = Worst.of({str(row.point): statistics.median(row.throughput_ratios()) for row in table})
    print_last_line("transport", statistics.median(ratios), ratios, worst)
    return {
        "benchmark": "transport",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "allocators": allocators,
        "predictd_flags": options.predictd_flags,
        "ratio": statistics.median(ratios),
        "worst": asdict(worst),
        "points": [as_json(row) for row in table],
    }


def measure(servers: list[Contestant], points: list[Point], rounds: int, seconds: float, watch: Watch) -> list[Rounds]:
    table = [Rounds(point, [server.name for server in servers]) for point in points]
    started = time.monotonic()
    for round_index in range(rounds):
        for index, row in enumerate(table):
            samples: dict[int, Sample] = {}
            for i in turn(len(servers), round_index + index):
                with watch.sample():
                    samples[i] = servers[i].measure(row.point, seconds, latencies=row.point == LONE_CALL)
            row.samples.append([samples[i] for i in range(len(servers))])
        spent = time.monotonic() - started
        left = spent / (round_index + 1) * (rounds - round_index - 1)
        print(f"round {round_index + 1} of {rounds} done, about {left:.0f} s left", file=sys.stderr, flush=True)
    return table


def print_throughput(table: list[Rounds]) -> None:
    """Median calls per second, ratio to the better echo of the round (median and range), and the servers' CPU time."""
    names = table[0].names
    heads = "".join(f"{name:>15}" for name in names)
    print(f"conns  in flight |{heads}  calls/s | ratio (range)       | CPU us/call")
    for row in table:
        ratios = row.throughput_ratios()
        rates = "".join(f"{value:15,.0f}" for value in row.medians("calls_per_second"))
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        cpu = "".join(f"{value:6.1f}" for value in row.medians("cpu_us_per_call"))
        print(f"{row.point.connections:5}  {row.point.in_flight:9} |{rates}          | {spread:19} |{cpu}")


def print_latency(table: list[Rounds]) -> None:
    for row in table:
        if row.point == LONE_CALL:
            print("\none call in flight, microseconds" + "".join(f"{name:>15}" for name in row.names) + "   ratio")
            for quantile in (0.5, 0.99):
                values = "".join(f"{value:15.0f}" for value in row.median_latencies(quantile))
                ratio = statistics.median(row.latency_ratios(quantile))
                print(f"  p{quantile * 100:<30.0f}{values}   {ratio:.2f}")


def as_json(row: Rounds) -> dict[str, Any]:
    result: dict[str, Any] = {
        "connections": row.point.connections,
        "in_flight": row.point.in_flight,
        "ratio": statistics.median(row.throughput_ratios()),
        "ratios": row.throughput_ratios(),
        "servers": {
            name: {
                "calls_per_second": [sample[i].calls_per_second for sample in row.samples],
                "cpu_us_per_call": [sample[i].cpu_us_per_call for sample in row.samples],
            }
            for i, name in enumerate(row.names)
        },
    }
    if row.point == LONE_CALL:
        for key, quantile in (("p50_us", 0.5), ("p99_us", 0.99)):
            result[f"{key}_ratio"] = statistics.median(row.latency_ratios(quantile))
            for i, name in enumerate(row.names):
                times = [at_quantile(sample[i].latencies_us, quantile) for sample in row.samples]
                result["servers"][name][key] = times
    return result
