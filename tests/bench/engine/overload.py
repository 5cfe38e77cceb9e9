"""`scripts/bench overload`: how many answers still come in time when more is asked for than the hardware can do.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.engine import load_generator
from bench.engine.load_generator import Generator, Load, Outcome
from bench.engine.workloads import encoder
from bench.harness.failure import BenchFailure
from bench.harness.machine import Watch, cores, machine
from bench.harness.messages import PredictMessages
from bench.harness.predictd import add_flags_argument, running_predictd
from bench.harness.rounds import Worst, print_last_line

ROUNDS = 5
SECONDS = 3.0
LOADS = [0.5, 0.7, 0.9, 1.2, 2.0, 4.0]
# The load of the last line.
HEADLINE = 4.0
MODEL = "encoder"
DEADLINE_IN_UNLOADED_LATENCIES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--loads", type=parse_loads, default=LOADS, metavar="X,...",
        help=f"in units of the capacity (default: {','.join(map(str, LOADS))}); {HEADLINE} is always measured",
    )  # fmt: skip
    parser.add_argument("--rows-per-call", type=int, default=8, metavar="N", help="default 8")
    parser.add_argument("--max-batch-size", type=int, default=16, metavar="N", help="the model's, in rows; default 16")
    add_flags_argument(parser)


def parse_loads(text: str) -> list[float]:
    try:
        loads = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not all(0 < load < math.inf for load in loads):
        raise argparse.ArgumentTypeError(f"'{text}' must be positive numbers")
    return loads if HEADLINE in loads else [*loads, HEADLINE]


def targets(_: argparse.Namespace) -> list[str]:
    return ["predictd", load_generator.TARGET]


@dataclass
class Row:
    """One load: its outcome in each round, and the capacity that the round began with, in calls per second."""

    load: float
    outcomes: list[Outcome] = field(default_factory=list)
    capacities: list[float] = field(default_factory=list)

    def goodput(self) -> float:
        """Answers in time per second, the median over the rounds, in units of the capacity of the round."""
        pairs = zip(self.outcomes, self.capacities, strict=True)
        return statistics.median(outcome.goodput / capacity for outcome, capacity in pairs)

    def goodput_beside_client(self, core_count: int) -> float:
        """The same, the capacity being that of the cores' share that the client left to the server."""
        client = statistics.median(outcome.client_cpu_seconds / outcome.seconds for outcome in self.outcomes)
        return self.goodput() / (1 - client / core_count)

    def share(self, code: str) -> float:
        """Of all calls of all rounds."""
        return self.total(lambda outcome: outcome.count(code)) / self.total(lambda outcome: outcome.sent)

    def total(self, count: Callable[[Outcome], int]) -> int:
        return sum(count(outcome) for outcome in self.outcomes)

    def median_ms(self, times: Callable[[Outcome], dict[str, float] | None], quantile: str) -> float:
        """NaN if there was nothing to measure in any round."""
        values = [found[quantile] / 1000 for outcome in self.outcomes if (found := times(outcome)) is not None]
        return statistics.median(values) if values else math.nan


def goodput_ratio(table: list[Row]) -> float:
    """The goodput at the headline's load in units of the best one."""
    return next(row for row in table if row.load == HEADLINE).goodput() / max(row.goodput() for row in table)


def worst_load(table: list[Row]) -> Worst:
    """Of all loads: answers in time in units of those that were possible, of all that were asked for or of the best."""
    best = max(row.goodput() for row in table)
    return Worst.of({f"load {row.load:g}": row.goodput() / min(row.load, best) for row in table})


def run(options: argparse.Namespace) -> dict[str, Any]:
    if not 1 <= options.rows_per_call <= options.max_batch_size:
        raise BenchFailure("--rows-per-call must be at least 1 and not above --max-batch-size")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        repository = folder / "models"
        workload = encoder(options, folder / "exported")
        workload.install(repository, MODEL, options.max_batch_size)
        messages = PredictMessages(options.root, folder)
        calls = workload.write_calls(folder / "calls", messages, MODEL, options.rows_per_call)
        server = stack.enter_context(running_predictd(options, repository, folder))
        load = Generator(options, server, calls)
        alone = load.run(Load(options.seconds, in_flight=1)).require_all_answered()
        assert alone.ok_us is not None
        unloaded_ms = alone.ok_us["p50"] / 1000
        deadline_ms = math.ceil(DEADLINE_IN_UNLOADED_LATENCIES * unloaded_ms)
        print(
            f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each load\n"
            f"{MODEL}, {options.rows_per_call} rows a call, at most {options.max_batch_size} rows a batch;"
            f" unloaded latency {unloaded_ms:.1f} ms (p50), deadline {deadline_ms} ms"
        )
        with Watch([server]) as watch:
            table = measure(options, load, deadline_ms, watch)
    print_table(table, cores())
    watch.print()
    late = sum(row.total(lambda outcome: outcome.late) for row in table)
    calls_made = sum(row.total(lambda outcome: outcome.sent) for row in table)
    print(f"{late} of {calls_made} calls ended 5 ms or more after their deadline; all ended, and no answer was wrong")
    ratio, worst = goodput_ratio(table), worst_load(table)
    print_last_line("overload", ratio, worst=worst)
    return {
        "benchmark": "overload",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "rows_per_call": options.rows_per_call,
        "max_batch_size": options.max_batch_size,
        "unloaded_ms": unloaded_ms,
        "deadline_ms": deadline_ms,
        "late": late,
        "ratio": ratio,
        "worst": asdict(worst),
        "loads": [as_json(row, cores()) for row in table],
    }


def measure(options: argparse.Namespace, load: Generator, deadline_ms: int, watch: Watch) -> list[Row]:
    """Each round measures the capacity and then each load in units of it, so that a slower minute moves both."""
    table = [Row(load_factor) for load_factor in options.loads]
    # Full batches for every worker, and as many again three times waiting.
    enough = 4 * cores() * (options.max_batch_size // options.rows_per_call)
    started = time.monotonic()
    for round_index in range(options.rounds):
        capacity = load.run(Load(options.seconds, in_flight=enough)).require_all_answered().ok_per_second
        first = round_index % len(table)
        for row in table[first:] + table[:first]:
            offered = Load(options.seconds, rate=row.load * capacity, deadline_ms=deadline_ms, seed=round_index + 1)
            with watch.sample():
                row.outcomes.append(load.run(offered))
            row.capacities.append(capacity)
        left = (time.monotonic() - started) / (round_index + 1) * (options.rounds - round_index - 1)
        print(f"round {round_index + 1} of {options.rounds} done, about {left:.0f} s left", file=sys.stderr, flush=True)
    return table


def print_table(table: list[Row], core_count: int) -> None:
    capacities = table[0].capacities
    print(f"capacity {statistics.median(capacities):,.0f} calls/s ({min(capacities):,.0f}..{max(capacities):,.0f})\n")
    print(
        "load | offered/s  in time/s  of capacity  of the rest | refused  after ms | exceeded | late |"
        " p50 ms  p99 ms | sent late p99 ms | cores: client  server"
    )
    for row in table:
        offered = statistics.median(outcome.sent / outcome.seconds for outcome in row.outcomes)
        goodput = statistics.median(outcome.goodput for outcome in row.outcomes)
        client = statistics.median(outcome.client_cpu_seconds / outcome.seconds for outcome in row.outcomes)
        server = statistics.median(outcome.server_cpu_seconds / outcome.seconds for outcome in row.outcomes)
        print(
            f"{row.load:4.1f} | {offered:9,.0f} {goodput:10,.0f}"
            f" {row.goodput():12.2f} {row.goodput_beside_client(core_count):12.2f} |"
            f" {row.share('RESOURCE_EXHAUSTED'):7.2%} {row.median_ms(lambda o: o.refused_us, 'p50'):9.2f} |"
            f" {row.share('DEADLINE_EXCEEDED'):8.2%} | {row.total(lambda o: o.late):4} |"
            f" {row.median_ms(lambda o: o.ok_us, 'p50'):6.1f} {row.median_ms(lambda o: o.ok_us, 'p99'):7.1f} |"
            f" {row.median_ms(lambda o: o.send_late_us, 'p99'):16.2f} | {client:13.2f} {server:7.2f}"
        )


def as_json(row: Row, core_count: int) -> dict[str, Any]:
    return {
        "load": row.load,
        "goodput_of_capacity": row.goodput(),
        "goodput_beside_client": row.goodput_beside_client(core_count),
        "capacities": row.capacities,
        "outcomes": [asdict(outcome) for outcome in row.outcomes],
    }
