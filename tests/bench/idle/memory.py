"""`scripts/bench memory`: what predictd takes beside LibTorch and the model, and for connections, streams and calls.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness.allocator import add_allocator_argument, allocator_of, opponent_environment, print_allocators
from bench.harness.contestants import Stage
from bench.harness.failure import BenchFailure
from bench.harness.load import Point
from bench.harness.machine import cores, machine
from bench.harness.messages import MODEL, PREDICT_STREAM, WIDTH
from bench.harness.predictd import add_flags_argument
from bench.harness.rounds import print_last_line
from bench.harness.servers import STOP_SECONDS
from bench.idle.idlers import SERVER_DESCRIPTORS, Crowd, descriptor_limit, idle, limited

ROUNDS = 5
# Idle processes are looked at once, and calls are counted: no point is measured for a time.
SECONDS = 0.8
# What predictd may take beside LibTorch and the model.
IDLE_AIM_BYTES = 30e6
# Growth that is less than this in a million calls is what the allocator does between two looks.
GROWTH_BAR_BYTES = 1e6
LOAD = Point(8, 64)
GROWTH_STEPS = 10
# Of the steps, those after which growth must have ended: buffers and pools have reached their size.
SETTLED_STEPS = 2
WATCH = "/grpc.health.v1.Health/Watch"
STREAMED_ROWS = 16
SETTLE_SECONDS = 1.0
# What smaps_rollup calls the parts that are shown.
PARTS = ("Rss", "Pss", "Private", "Anonymous")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, help="calls for the growth (default 1,000,000, with --quick 20,000)")
    parser.add_argument("--idle", type=int, help="idle connections and streams (default 1,000, with --quick 100)")
    add_flags_argument(parser)
    add_allocator_argument(parser)


def targets(options: argparse.Namespace) -> list[str]:
    return ["predictd", "bench_idle_torch"]


@dataclass(frozen=True)
class Memory:
    """A process's memory in bytes by the names of PARTS: Private is what no other process shares."""

    parts: dict[str, int]

    @staticmethod
    def of(pid: int) -> "Memory":
        return Memory.parse(Path(f"/proc/{pid}/smaps_rollup").read_text())

    @staticmethod
    def parse(text: str) -> "Memory":
        found = {name: 1024 * int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
        found["Private"] = found["Private_Clean"] + found["Private_Dirty"]
        return Memory({name: found[name] for name in PARTS})


def slope_per_million(calls: list[int], sizes: Sequence[float]) -> float:
    """By how much the size grows in a million calls, by least squares over the steps after the settled ones."""
    settled = [(at, size) for at, size in zip(calls, sizes, strict=True) if at >= calls[SETTLED_STEPS - 1]]
    return float(np.polyfit([at for at, _ in settled], [size for _, size in settled], 1)[0]) * 1e6


def run(options: argparse.Namespace) -> dict[str, Any]:
    calls = options.calls or (20_000 if options.quick else 1_000_000)
    count = options.idle or (100 if options.quick else 1_000)
    print(f"{machine()}; {options.rounds} rounds of idle processes\n")
    with ExitStack() as stack:
        stage = Stage(options, stack)
        flags = shlex.split(options.predictd_flags)
        allocators: dict[str, str] = {}
        overhead = measure_idle(stage, options, flags, allocators)
        print_allocators(allocators)
        print_idle(overhead)
        costs = measure_crowds(stage, flags, count)
        growth = measure_growth(stage, flags, calls)
    ratios = [row["Rss"] / IDLE_AIM_BYTES for row in overhead["difference"]]
    print(f"\nthe ratio: RSS beyond LibTorch's when idle, in {IDLE_AIM_BYTES / 1e6:.0f} MB; 1 or less is the aim")
    print_last_line("memory", statistics.median(ratios), ratios)
    return {
        "benchmark": "memory",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "predictd_flags": options.predictd_flags,
        "idle": overhead,
        "bytes_each": costs,
        "growth": growth,
        "allocators": allocators,
        "ratio": statistics.median(ratios),
    }


# --- Idle ---


def measure_idle(
    stage: Stage, options: argparse.Namespace, flags: list[str], allocators: dict[str, str]
) -> dict[str, list[dict[str, int]]]:
    """Each round starts both, one after the other, so that neither shares pages with the other.

    Says in `allocators` which they have.
    """
    result: dict[str, list[dict[str, int]]] = {"predictd": [], "LibTorch": [], "difference": []}
    for round_index in range(options.rounds):
        with ExitStack() as stack:
            server = stage.predictd("predictd idle", flags, stack=stack)
            predictd = settled(server.pid).parts
            threads = count_threads(server.pid)
            allocators["predictd"] = allocator_of(server.pid)
        torch = idle_torch(stage, options, threads, allocators)
        result["predictd"].append(predictd)
        result["LibTorch"].append(torch)
        result["difference"].append({part: predictd[part] - torch[part] for part in PARTS})
        print(f"round {round_index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return result


def idle_torch(stage: Stage, options: argparse.Namespace, threads: int, allocators: dict[str, str]) -> dict[str, int]:
    """LibTorch with the same model and so many threads, of which as many as predictd has workers run the model."""
    runners = cores()
    program = options.build_dir / "tests" / "bench" / "bench_idle_torch"
    model = stage.repository / MODEL / "1" / "model.pt"
    command = [program, model, str(runners), str(threads - runners - 1)]
    environment = os.environ | opponent_environment(options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise BenchFailure("bench_idle_torch did not start (see above)")
            if count_threads(process.pid) != threads:
                raise BenchFailure(f"bench_idle_torch has {count_threads(process.pid)} threads, predictd {threads}")
            allocators["LibTorch"] = allocator_of(process.pid)
            return settled(process.pid).parts
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def count_threads(pid: int) -> int:
    """Without those that jemalloc starts by itself, when it likes."""
    names = [(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()]
    return len(names) - names.count("jemalloc_bg_thd")


def settled(pid: int) -> Memory:
    time.sleep(SETTLE_SECONDS)
    return Memory.of(pid)


def print_idle(overhead: dict[str, list[dict[str, int]]]) -> None:
    print("idle, MB (median)" + "".join(f"{part:>12}" for part in PARTS))
    for name, rows in overhead.items():
        values = "".join(f"{statistics.median(row[part] for row in rows) / 1e6:12.1f}" for part in PARTS)
        print(f"  {name:15}{values}")


# --- Idle connections and streams ---


def measure_crowds(stage: Stage, flags: list[str], count: int) -> dict[str, dict[str, float]]:
    """What one of each takes: the growth of a fresh server that gets `count` of them, over `count`."""
    watch, stream = stage.folder / "watch.bin", stage.folder / "stream.bin"
    watch.write_bytes(b"")
    rows = np.zeros((STREAMED_ROWS, WIDTH), dtype=np.float32)
    stream.write_bytes(stage.messages.stream_request(rows, chunk_rows=1))
    connections = 10
    each = count // connections
    crowds = {
        "connection": Crowd(count),
        "health Watch": Crowd(connections, each, WATCH, watch),
        "PredictStream nobody reads": Crowd(connections, each, PREDICT_STREAM, stream, no_window=True),
    }
    result: dict[str, dict[str, float]] = {}
    print(f"\n{count} idle, bytes for each   " + "".join(f"{part:>12}" for part in PARTS))
    for name, crowd in crowds.items():
        with ExitStack() as stack:
            wrapper = limited(descriptor_limit(count, SERVER_DESCRIPTORS))
            server = stage.predictd(f"predictd {name}", [*flags, "--stream-stall-timeout=1h"], wrapper, stack)
            before = settled(server.pid).parts
            stack.enter_context(idle(server.address, crowd))
            after = settled(server.pid).parts
        result[name] = {part: (after[part] - before[part]) / count for part in PARTS}
        print(f"  {name:26}" + "".join(f"{result[name][part]:12,.0f}" for part in PARTS))
    return result


# --- Growth ---


def measure_growth(stage: Stage, flags: list[str], calls: int) -> dict[str, Any]:
    """RSS after each tenth of the calls, every one of which is answered in full."""
    step = calls // GROWTH_STEPS
    made, sizes = [0], []
    with ExitStack() as stack:
        server = stage.predictd("predictd growth", flags, stack=stack)
        contestant = stage.contest(server, stage.linear)
        sizes.append(settled(server.pid).parts["Rss"])
        for index in range(1, GROWTH_STEPS + 1):
            contestant.make_calls(LOAD, step)
            made.append(index * step)
            sizes.append(settled(server.pid).parts["Rss"])
        contestant.check_last()
    slope = slope_per_million(made[1:], sizes[1:])
    print(f"\nRSS in MB after calls ({LOAD}):")
    print("  " + "  ".join(f"{at:,}: {size / 1e6:.1f}" for at, size in zip(made, sizes, strict=True)))
    verdict = "no growth" if slope <= GROWTH_BAR_BYTES else "IT GROWS"
    print(f"  after {made[SETTLED_STEPS]:,}: {slope / 1e6:+.2f} MB in a million calls: {verdict}")
    return {"calls": made, "rss": sizes, "bytes_per_million_calls": slope}
