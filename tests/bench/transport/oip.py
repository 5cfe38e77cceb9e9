"""`scripts/bench oip`: what ModelInfer of the Open Inference Protocol costs over Predict, on one server.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from bench.harness.contestants import Stage
from bench.harness.load import Point
from bench.harness.machine import Watch, machine
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import Worst, print_last_line
from bench.transport.transport import as_json, measure, parse_points, print_throughput

ROUNDS = 9
SECONDS = 0.8
POINTS = [Point(1, 1), Point(1, 8), Point(1, 64), Point(8, 64)]
# The point of the last line.
HEADLINE = Point(1, 64)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--points", type=parse_points, default=POINTS, metavar="CxF,...",
        help=f"connections x calls in flight (default: {','.join(map(str, POINTS))}); {HEADLINE} is always measured",
    )  # fmt: skip
    add_flags_argument(parser)


def targets(_options: argparse.Namespace) -> list[str]:
    return ["predictd"]


def run(options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        stage = Stage(options, stack)
        server = stage.predictd()
        # The subject comes first, and Predict is what it is compared with.
        contestants = [
            stage.contest_by_infer(server, "ModelInfer", stage.linear),
            stage.contest(server, stage.linear),
        ]
        contestants[1].name = "Predict"
        print(f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each point and call")
        print("bytes in an answer: " + ", ".join(f"{one.name} {one.answer_bytes}" for one in contestants) + "\n")
        with Watch([server]) as watch:
            table = measure(contestants, options.points, options.rounds, options.seconds, watch)
        for contestant in contestants:
            contestant.check_last()
        checked = sum(contestant.checked_answers for contestant in contestants)
    print_throughput(table)
    watch.print()
    print(f"{checked} answers were checked by their numbers, all others by their size: none was wrong")
    ratios = next(row for row in table if row.point == HEADLINE).throughput_ratios()
    worst = Worst.of({str(row.point): statistics.median(row.throughput_ratios()) for row in table})
    print_last_line("oip", statistics.median(ratios), ratios, worst)
    return {
        "benchmark": "oip",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "ratio": statistics.median(ratios),
        "worst": asdict(worst),
        "points": [as_json(row) for row in table],
    }
