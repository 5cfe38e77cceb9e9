"""`scripts/bench batching`: what is left of LibTorch's own throughput when the rows come one by one.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.engine import load_generator, raw_torch
from bench.engine.load_generator import Generator, Load, Outcome
from bench.engine.raw_torch import RawResult, run_raw_torch
from bench.engine.workloads import Workload, digits, encoder
from bench.harness.allocator import add_allocator_argument, allocator_of, print_allocators
from bench.harness.machine import Watch, cores, machine
from bench.harness.messages import PredictMessages
from bench.harness.predictd import NAME, add_flags_argument, running_predictd
from bench.harness.rounds import Worst, print_last_line

ROUNDS = 7
SECONDS = 2.0
IN_FLIGHT = 64
MAX_BATCH_SIZE = 64
BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64]
SWEEPS = 3
# The model of the last line.
HEADLINE = "encoder"
MODELS = [HEADLINE, "digits"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=parse_models, default=MODELS, metavar="NAME,...",
        help=f"default: {','.join(MODELS)}; {HEADLINE} is always measured",
    )  # fmt: skip
    add_flags_argument(parser)
    add_allocator_argument(parser)


def parse_models(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is not one of {', '.join(MODELS)}")
    return names if HEADLINE in names else [HEADLINE, *names]


def targets(_: argparse.Namespace) -> list[str]:
    return ["predictd", load_generator.TARGET, raw_torch.TARGET]


@dataclass
class Comparison:
    """One model: LibTorch at its best batch size and predictd, measured in turn. All calls have one row."""

    name: str
    best_batch: int
    raw: list[RawResult] = field(default_factory=list)
    served: list[Outcome] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """For each round: rows per second, with the client on the same cores, in units of LibTorch alone on them."""
        return [served.ok_per_second / raw.rows_per_second for raw, served in zip(self.raw, self.served, strict=True)]

    def ratios_beside_client(self, core_count: int) -> list[float]:
        """The same, LibTorch having only the share of the cores that the client left to the server."""
        left = [1 - served.client_cpu_seconds / served.seconds / core_count for served in self.served]
        return [ratio / share for ratio, share in zip(self.ratios(), left, strict=True)]

    def ratios_of_cpu_time(self) -> list[float]:
        """For each round: rows per CPU second of the server in units of LibTorch's."""
        rates = [served.ok_in_window / served.server_cpu_seconds for served in self.served]
        return [rate / raw.rows_per_cpu_second for raw, rate in zip(self.raw, rates, strict=True)]


def best_batch(sweeps: list[dict[int, RawResult]]) -> tuple[int, dict[int, float]]:
    """The batch size with the most rows per second in the median over the sweeps, and these medians."""
    medians = {rows: statistics.median(sweep[rows].rows_per_second for sweep in sweeps) for rows in sweeps[0]}
    return max(medians, key=lambda rows: medians[rows]), medians


def run(options: argparse.Namespace) -> dict[str, Any]:
    threads = cores()
    print(f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each model, served and raw")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        messages = PredictMessages(options.root, folder)
        workloads = {name: _workload(name, options, folder) for name in options.models}
        repository = folder / "models"
        for name, workload in workloads.items():
            workload.install(repository, name, MAX_BATCH_SIZE)
        server = stack.enter_context(running_predictd(options, repository, folder))
        allocators = {NAME: allocator_of(server.pid), "LibTorch alone": options.opponent_allocator}
        print_allocators(allocators)
        watch = stack.enter_context(Watch([server]))
        table, sweep_rates = [], {}
        for name, workload in workloads.items():
            calls = workload.write_calls(folder / f"{name}.calls", messages, name, rows=1)
            load = Generator(options, server, calls)
            sweeps = [
                run_raw_torch(options, workload, threads, BATCH_SIZES, options.seconds / 4)
                for _ in range(1 if options.quick else SWEEPS)
            ]
            best, sweep_rates[name] = best_batch(sweeps)
            print_sweep(name, sweep_rates[name])
            table.append(_measure(options, Comparison(name, best), workload, load, threads, watch))
    print_table(table, threads)
    watch.print()
    print(f"all {sum(served.sent for row in table for served in row.served)} answers were checked: none was wrong")
    ratios = next(row for row in table if row.name == HEADLINE).ratios()
    worst = Worst.of({row.name: statistics.median(row.ratios()) for row in table})
    print_last_line("batching", statistics.median(ratios), ratios, worst)
    return {
        "benchmark": "batching",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "allocators": allocators,
        "ratio": statistics.median(ratios),
        "worst": asdict(worst),
        "models": [as_json(row, sweep_rates[row.name], threads) for row in table],
    }


def _workload(name: str, options: argparse.Namespace, folder: Path) -> Workload:
    return encoder(options, folder / "exported") if name == HEADLINE else digits(options)


def _measure(
    options: argparse.Namespace, row: Comparison, workload: Workload, load: Generator, threads: int, watch: Watch
) -> Comparison:
    for round_index in range(options.rounds):
        for turn in (round_index % 2, (round_index + 1) % 2):
            with watch.sample():
                if turn == 0:
                    result = run_raw_torch(options, workload, threads, [row.best_batch], options.seconds)
                    row.raw.append(result[row.best_batch])
                else:
                    row.served.append(load.run(Load(options.seconds, in_flight=IN_FLIGHT)).require_all_answered())
        print(f"{row.name}: round {round_index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return row


def print_sweep(name: str, rates: dict[int, float]) -> None:
    print(f"\n{name}: LibTorch alone, rows per second by batch size")
    print("  " + "  ".join(f"{rows}: {rate:,.0f}" for rows, rate in rates.items()))


def print_table(table: list[Comparison], core_count: int) -> None:
    print(f"\n{IN_FLIGHT} calls of one row in flight, client and server on the same {core_count} cores")
    print(
        "model    | best batch   LibTorch   predictd rows/s | ratio (range)       | client cores  ratio of the rest |"
        " CPU us/row: LibTorch  predictd  ratio"
    )
    for row in table:
        ratios = row.ratios()
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        raw = statistics.median(result.rows_per_second for result in row.raw)
        served = statistics.median(outcome.ok_per_second for outcome in row.served)
        client = statistics.median(outcome.client_cpu_seconds / outcome.seconds for outcome in row.served)
        beside = statistics.median(row.ratios_beside_client(core_count))
        raw_us = statistics.median(1e6 / result.rows_per_cpu_second for result in row.raw)
        served_us = statistics.median(1e6 * o.server_cpu_seconds / o.ok_in_window for o in row.served)
        of_cpu = statistics.median(row.ratios_of_cpu_time())
        print(
            f"{row.name:8} | {row.best_batch:10} {raw:10,.0f} {served:10,.0f}        | {spread:19} |"
            f" {client:12.2f} {beside:18.2f} | {raw_us:20.1f} {served_us:9.1f} {of_cpu:6.2f}"
        )


def as_json(row: Comparison, sweep_rates: dict[int, float], core_count: int) -> dict[str, Any]:
    return {
        "model": row.name,
        "best_batch": row.best_batch,
        "raw_rows_per_second_by_batch": sweep_rates,
        "ratios": row.ratios(),
        "ratios_beside_client": row.ratios_beside_client(core_count),
        "ratios_of_cpu_time": row.ratios_of_cpu_time(),
        "raw": [asdict(result) for result in row.raw],
        "served": [asdict(outcome) for outcome in row.served],
    }
