"""`scripts/bench shared_memory`: ModelInfer with tensors in shared memory against the same tensors in messages.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import shared_memory

from bench.harness.failure import BenchFailure
from bench.harness.machine import Watch, machine
from bench.harness.predictd import add_flags_argument, running_predictd
from bench.harness.rounds import Worst, print_last_line, turn

ROUNDS = 9
SECONDS = 2.0
MODEL = "identity"
CONFIG = """
batched = false
inputs = [{ name = "x", dtype = "FP32", shape = [-1] }]
outputs = [{ name = "y", dtype = "FP32", shape = [-1] }]
"""
SIZES = [64 << 10, 1_000_000, 50_000_000]
# That of the last line.
HEADLINE = 50_000_000
FLAGS = ["--shared-memory=system", "--max-message-bytes=128MiB", "--request-memory=2GiB"]
MESSAGE, INPUT, BOTH = "messages", "shared input", "both shared"
WAYS = [MESSAGE, INPUT, BOTH]
FEWEST_CALLS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags_argument(parser)


def targets(_: argparse.Namespace) -> list[str]:
    return ["predictd"]


@dataclass
class Row:
    """Tensors of one size. Seconds for a call, a figure for each round."""

    byte_size: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    cpu_seconds: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})

    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.seconds[BOTH], self.seconds[MESSAGE], strict=True)]


class Tensors:
    """A tensor of the client, and two regions with room for it, one of which has it."""

    def __init__(self, client: InferenceServerClient, byte_size: int) -> None:
        self.values = np.random.default_rng(5).uniform(-1, 1, byte_size // 4).astype(np.float32)
        self._client = client
        self._regions = []
        for name in ("in", "out"):
            key = f"/predictd-bench-{os.getpid()}-{name}"
            self._regions.append(shared_memory.create_shared_memory_region(name, key, self.values.nbytes))
            client.register_system_shared_memory(name, key, self.values.nbytes)

    def close(self) -> None:
        self._client.unregister_system_shared_memory()
        for region in self._regions:
            shared_memory.destroy_shared_memory_region(region)

    def call(self, way: str) -> Callable[[], np.ndarray]:
        """A call that returns the answer's tensor. One that shares begins with the copy into the region."""
        plain = InferInput("x", [self.values.size], "FP32")
        shared = InferInput("x", [self.values.size], "FP32").set_shared_memory("in", self.values.nbytes)
        target = InferRequestedOutput("y")
        target.set_shared_memory("out", self.values.nbytes)

        def infer() -> np.ndarray:
            if way == MESSAGE:
                plain.set_data_from_numpy(self.values)
                return self._client.infer(MODEL, [plain]).as_numpy("y")
            shared_memory.set_shared_memory_region(self._regions[0], [self.values])
            if way == INPUT:
                return self._client.infer(MODEL, [shared]).as_numpy("y")
            self._client.infer(MODEL, [shared], outputs=[target])
            return shared_memory.get_contents_as_numpy(self._regions[1], np.float32, [self.values.size])

        return infer


@contextmanager
def tensors_of(client: InferenceServerClient, byte_size: int) -> Iterator[Tensors]:
    tensors = Tensors(client, byte_size)
    try:
        yield tensors
    finally:
        tensors.close()


def export_identity(folder: Path) -> None:
    import torch

    class Identity(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    (folder / "1").mkdir(parents=True)
    (folder / "model.toml").write_text(CONFIG)
    torch.jit.script(Identity()).save(str(folder / "1" / "model.pt"))


def run(options: argparse.Namespace) -> dict[str, Any]:
    rows = [Row(size) for size in SIZES]
    options.predictd_flags = " ".join([*FLAGS, options.predictd_flags])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        export_identity(folder / "models" / MODEL)
        server = stack.enter_context(running_predictd(options, folder / "models", folder))
        client = stack.enter_context(InferenceServerClient(server.address))
        print(
            f"{machine()}; {options.rounds} rounds of {options.seconds:g} s for each size and way;"
            " one call at a time, tritonclient"
        )
        with Watch([server]) as watch:
            for index in range(options.rounds):
                for row in rows:
                    with tensors_of(client, row.byte_size) as tensors:
                        for place in turn(len(WAYS), index):
                            way, before = WAYS[place], server.cpu_seconds()
                            with watch.sample():
                                calls, seconds = measure(tensors, tensors.call(way), options.seconds)
                            row.seconds[way].append(seconds / calls)
                            row.cpu_seconds[way].append((server.cpu_seconds() - before) / calls)
                print(f"round {index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    print_table(rows)
    watch.print()
    headline = next(row for row in rows if row.byte_size == HEADLINE)
    medians = {f"{row.byte_size:,} bytes": statistics.median(row.ratios()) for row in rows}
    worst = Worst.of(medians, less_is_better=True)
    print_last_line("shared_memory", statistics.median(headline.ratios()), headline.ratios(), worst)
    return {
        "benchmark": "shared_memory",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "ratio": statistics.median(headline.ratios()),
        "worst": asdict(worst),
        "sizes": [asdict(row) for row in rows],
    }


def measure(tensors: Tensors, infer: Callable[[], np.ndarray], seconds: float) -> tuple[int, float]:
    """How many calls, and their time together. The first is checked, and does not count."""
    if not np.array_equal(infer(), tensors.values):
        raise BenchFailure("an answer was wrong")
    calls, began = 0, time.monotonic()
    while calls < FEWEST_CALLS or time.monotonic() - began < seconds:
        infer()
        calls += 1
    return calls, time.monotonic() - began


def print_table(rows: list[Row]) -> None:
    print(
        "\nms for a call   |" + "".join(f" {way:>13}" for way in WAYS) + " |  both / messages (range) | server CPU ms"
    )
    for row in rows:
        times = "".join(f" {1000 * statistics.median(row.seconds[way]):13.2f}" for way in WAYS)
        ratios = row.ratios()
        cpu = ", ".join(f"{1000 * statistics.median(row.cpu_seconds[way]):.2f}" for way in WAYS)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"{row.byte_size:>11,} B   |{times} | {spread:>24} | {cpu}")
