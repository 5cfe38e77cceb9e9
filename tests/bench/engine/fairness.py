"""`scripts/bench fairness`: what a flood of calls of one model does to the callers of another.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.engine import load_generator, raw_torch
from bench.engine.load_generator import Generator, Load, Outcome
from bench.engine.raw_torch import run_raw_torch
from bench.engine.workloads import encoder
from bench.harness.allocator import add_allocator_argument, allocator_of, print_allocators
from bench.harness.machine import Watch, cores, machine
from bench.harness.messages import PredictMessages
from bench.harness.predictd import NAME, add_flags_argument, running_predictd
from bench.harness.rounds import print_last_line

ROUNDS = 5
SECONDS = 6.0
LIGHT = "light"
FLOODED = "flood"
FLOOD_ROWS_PER_CALL = 4
FLOOD_MAX_BATCH_SIZE = 8
LEAD_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--light-rate", type=float, default=100.0, metavar="R",
        help="calls per second of the model that is not flooded; default 100",
    )  # fmt: skip
    parser.add_argument(
        "--flood", type=int, default=64, metavar="N", help="calls in flight of the flooded model; default 64"
    )
    add_flags_argument(parser)
    add_allocator_argument(parser)


def targets(_: argparse.Namespace) -> list[str]:
    return ["predictd", load_generator.TARGET, raw_torch.TARGET]


@dataclass(frozen=True)
class Round:
    """The light model alone, the flooded one alone, and both together."""

    light_alone: Outcome
    flood_alone: Outcome
    light: Outcome
    flood: Outcome

    def ratio(self, batch_ms: float) -> float:
        """The light model's p99 beside the flood, in units of what it may be."""
        return p99_ms(self.light) / (2 * p99_ms(self.light_alone) + batch_ms)


def p99_ms(outcome: Outcome) -> float:
    assert outcome.ok_us is not None
    return outcome.ok_us["p99"] / 1000


def run(options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        repository = folder / "models"
        workload = encoder(options, folder / "exported")
        for name in (LIGHT, FLOODED):
            workload.install(repository, name, FLOOD_MAX_BATCH_SIZE)
        messages = PredictMessages(options.root, folder)
        light_calls = workload.write_calls(folder / "light.calls", messages, LIGHT, 1)
        flood_calls = workload.write_calls(folder / "flood.calls", messages, FLOODED, FLOOD_ROWS_PER_CALL)
        raw = run_raw_torch(options, workload, cores(), [FLOOD_MAX_BATCH_SIZE], options.seconds)
        batch_ms = raw[FLOOD_MAX_BATCH_SIZE].seconds_per_batch * 1000
        server = stack.enter_context(running_predictd(options, repository, folder))
        light, flood = Generator(options, server, light_calls), Generator(options, server, flood_calls)
        print(
            f"{machine()}; {options.rounds} rounds of {options.seconds:g} s\n"
            f"light: {options.light_rate:g} calls/s of 1 row, Poisson; flood: {options.flood} calls of"
            f" {FLOOD_ROWS_PER_CALL} rows in flight; one batch of the flood ({FLOOD_MAX_BATCH_SIZE} rows) takes"
            f" {batch_ms:.1f} ms"
        )
        allocators = {NAME: allocator_of(server.pid), "LibTorch alone": options.opponent_allocator}
        print_allocators(allocators)
        with Watch([server]) as watch:
            rounds = [measure(options, light, flood, index, watch) for index in range(options.rounds)]
    print_table(rounds, batch_ms)
    watch.print()
    ratios = [each.ratio(batch_ms) for each in rounds]
    print_last_line("fairness", statistics.median(ratios), ratios)
    return {
        "benchmark": "fairness",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "batch_ms": batch_ms,
        "allocators": allocators,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "samples": [asdict(each) for each in rounds],
    }


def measure(options: argparse.Namespace, light: Generator, flood: Generator, index: int, watch: Watch) -> Round:
    """The light load alone and beside the flood, which goes first in turn; its arrivals are the same both times."""
    light_load = Load(options.seconds, rate=options.light_rate, seed=index + 1)
    outcomes: dict[str, Outcome] = {}
    for beside_flood in (False, True) if index % 2 == 0 else (True, False):
        if beside_flood:
            # From before the first arrival that counts until after the last one.
            around = Load(light_load.warm_up + options.seconds + LEAD_SECONDS, in_flight=options.flood)
            with flood.start(around) as running:
                time.sleep(LEAD_SECONDS)
                with watch.sample():
                    outcomes["light"] = light.run(light_load).require_all_answered()
                outcomes["flood"] = running.outcome()
        else:
            with watch.sample():
                outcomes["light_alone"] = light.run(light_load).require_all_answered()
    with watch.sample():
        outcomes["flood_alone"] = flood.run(Load(options.seconds, in_flight=options.flood))
    print(f"round {index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return Round(**outcomes)


def print_table(rounds: list[Round], batch_ms: float) -> None:
    print("\nlight model         |  p50 ms  p99 ms  sent late p99 ms")
    for title, name in (("alone", "light_alone"), ("beside the flood", "light")):
        outcomes = [getattr(each, name) for each in rounds]
        p50, p99 = (statistics.median(o.ok_us[q] / 1000 for o in outcomes) for q in ("p50", "p99"))
        late = statistics.median(o.send_late_us["p99"] / 1000 for o in outcomes)
        print(f"  {title:17} | {p50:7.1f} {p99:7.1f} {late:17.2f}")
    allowed = statistics.median(2 * p99_ms(each.light_alone) + batch_ms for each in rounds)
    ratios = [each.ratio(batch_ms) for each in rounds]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
    print(f"  p99 may be        | {allowed:15.1f}   ratio {spread}")
    alone = FLOOD_ROWS_PER_CALL * statistics.median(each.flood_alone.ok_per_second for each in rounds)
    beside = FLOOD_ROWS_PER_CALL * statistics.median(each.flood.ok_per_second for each in rounds)
    print(f"\nflooded model, rows/s: {alone:,.0f} alone, {beside:,.0f} beside the light load ({beside / alone:.2f})")
