"""`scripts/bench startup`: how long it takes from the start of the process until models are served.

tests/bench/README.md says how it is measured and what the figures mean.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.engine.workloads import digits
from bench.generation.models import SMOLLM2, bench_model
from bench.harness.allocator import add_allocator_argument, opponent_environment
from bench.harness.failure import BenchFailure
from bench.harness.machine import Watch, machine
from bench.harness.predictd import add_flags_argument, running_predictd
from bench.harness.rounds import Worst, print_last_line

ROUNDS = 7
# A start is measured once in a round, however long it takes.
SECONDS = 0.8
LOADER = "bench_load_torch"
# How many models the repository of small ones has.
MANY = 100
LIMIT_SECONDS = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=int, default=MANY, metavar="N", help=f"models in the repository of small ones; default {MANY}"
    )
    add_flags_argument(parser)
    add_allocator_argument(parser)


def targets(options: argparse.Namespace) -> list[str]:
    return ["predictd", LOADER, *([] if options.quick else ["predictd_kernels"])]


@dataclass
class Start:
    """A repository, and the files that LibTorch has to read for it."""

    name: str
    repository: Path
    files: list[Path]
    # From the start of the process until health says SERVING for all models, and until LibTorch has read them.
    serving: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)

    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.serving, self.read, strict=True)]


def run(options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        starts = make_starts(options, folder)
        print(f"{machine()}; {options.rounds} rounds; files are in the page cache")
        with Watch([]) as watch:
            for index in range(options.rounds):
                for start in starts:
                    measure(options, start, folder, index, watch)
                print(f"round {index + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    print_table(starts)
    watch.print()
    medians = {start.name: statistics.median(start.ratios()) for start in starts}
    worst = Worst.of(medians, less_is_better=True)
    print_last_line("startup", medians[starts[0].name], starts[0].ratios(), worst)
    return {
        "benchmark": "startup",
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": options.rounds,
        **watch.as_json(),
        "predictd_flags": options.predictd_flags,
        "ratio": medians[starts[0].name],
        "worst": asdict(worst),
        "starts": [
            {"name": start.name, "serving_seconds": start.serving, "libtorch_seconds": start.read} for start in starts
        ],
    }


def make_starts(options: argparse.Namespace, folder: Path) -> list[Start]:
    """The demo's models, each alone, and many small ones. Only those that cost nothing to make with --quick."""
    small = digits(options)
    starts = []
    for version, file in (("1", "model.pt"), ("2", "model.pt2")):
        source = small.folder / version / file
        repository = folder / f"digits-{version}"
        add_model(repository / "digits", small.folder / "model.toml", source)
        starts.append(Start(f"digits, {file.replace('model', '')}", repository, [source]))
    many = folder / "many"
    for i in range(options.models):
        add_model(many / f"small-{i:03}", small.folder / "model.toml", small.folder / "1" / "model.pt")
    files = sorted(many.glob("*/*/model.pt"))
    starts.append(Start(f"{len(files)} x digits, .pt", many, files))
    if not options.quick:
        model = bench_model(options, SMOLLM2)
        (folder / SMOLLM2).mkdir()
        (folder / SMOLLM2 / SMOLLM2).symlink_to(model.folder.resolve())
        starts.append(Start(SMOLLM2, folder / SMOLLM2, [model.model_file]))
    return starts


def add_model(folder: Path, config: Path, file: Path) -> None:
    """A copy of a model."""
    (folder / "1").mkdir(parents=True)
    shutil.copy(config, folder)
    shutil.copy(file, folder / "1")


def measure(options: argparse.Namespace, start: Start, folder: Path, index: int, watch: Watch) -> None:
    for ours in (True, False) if index % 2 == 0 else (False, True):
        with watch.sample():
            if ours:
                start.serving.append(serving_seconds(options, start, folder))
            else:
                start.read.append(read_seconds(options, start))


def serving_seconds(options: argparse.Namespace, start: Start, folder: Path) -> float:
    flags = ["--ready=all", *options.predictd_flags.split()]
    began = time.monotonic()
    with running_predictd(options, start.repository, folder, flags=flags):
        return time.monotonic() - began


def read_seconds(options: argparse.Namespace, start: Start) -> float:
    command = [str(options.build_dir / "tests" / "bench" / LOADER), *map(str, start.files)]
    environment = os.environ | opponent_environment(options)
    began = time.monotonic()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_SECONDS, check=False, env=environment
    )
    seconds = time.monotonic() - began
    if done.returncode != 0 or done.stdout != "loaded\n":
        raise BenchFailure(f"{LOADER} failed with status {done.returncode} (see above)")
    return seconds


def print_table(starts: list[Start]) -> None:
    print("\nmodels               | serving s  LibTorch s  ratio (range)")
    for start in starts:
        ratios = start.ratios()
        print(
            f"  {start.name:18} | {statistics.median(start.serving):9.2f} {statistics.median(start.read):11.2f}"
            f"  {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        )
