"""`scripts/bench NAME`: picks the benchmark, builds what it runs, and writes its result as JSON where asked.

A benchmark is a module of one of the rooms beside this file with
    add_arguments(parser)   its own options
    ROUNDS, SECONDS         how often and how long each point is measured by default
    targets(options)        the CMake targets that it runs
    run(options)            measures, prints for a person, and returns the result for --json
"""

import argparse
import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path

from bench.harness.failure import BenchFailure

ROOT = Path(__file__).resolve().parents[2]
# What there is, by room: each is the module of that name.
ROOMS = {
    "transport": {
        "transport": "predictd's unary call against bare completion-queue echoes of the same messages",
        "instructions": "instructions, allocations and system calls of predictd's unary call against bare echoes",
        "streaming": "messages of PredictStream against bare completion-queue echoes of the same messages",
        "oip": "the Open Inference Protocol's ModelInfer against Predict on the same server",
        "shared_memory": "ModelInfer with tensors in shared memory against the same tensors in messages",
        "tracing": "what exporting traces costs in throughput",
    },
    "engine": {
        "batching": "rows per second with 64 calls in flight against LibTorch alone in a loop",
        "overload": "answers in time at up to 4 times the capacity",
        "fairness": "what a flood on one model does to the latency of another",
        "reload": "what loading versions of one model, over and over, does to the latency of another",
        "startup": "from the start of the process until models are served, against LibTorch's reading of their files",
    },
    "idle": {
        "memory": "what predictd takes beside LibTorch and the model, for connections, streams and calls",
        "connections": "10,000 idle connections or streams beside a few hundred active calls",
    },
    "generation": {
        "generation": "tokens of a language model, how many and when, against llama.cpp and the bare model",
    },
    "kernels": {
        "kernels": "what of memory bandwidth and multiplications the arithmetic of generators uses",
    },
}
BENCHMARKS = {name: summary for room in ROOMS.values() for name, summary in room.items()}
MODULES = {name: f"bench.{room}.{name}" for room, names in ROOMS.items() for name in names}


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    listing = "\n".join(f"  {name:13} {summary}" for name, summary in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench", epilog=f"benchmarks:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    names = parser.add_subparsers(dest="name", metavar="NAME")
    modules = {name: importlib.import_module(MODULES[name]) for name in BENCHMARKS}
    for name, summary in BENCHMARKS.items():
        module = modules[name]
        sub = names.add_parser(name, help=summary, description=summary)
        rounds = f"how often each point is measured (default {module.ROUNDS}, with --quick 1)"
        sub.add_argument("--rounds", type=int, help=rounds)
        seconds = f"time for each point (default {module.SECONDS}, with --quick 0.4)"
        sub.add_argument("--seconds", type=float, help=seconds)
        sub.add_argument("--quick", action="store_true", help="a smoke test: runs everything, says little about speed")
        sub.add_argument("--json", type=Path, metavar="FILE", help="write every sample and the medians to FILE")
        sub.add_argument("--build-dir", type=Path, default=ROOT / "build", metavar="DIR", help="default: build")
        sub.add_argument("--no-build", action="store_true", help="run what is there")
        module.add_arguments(sub)
    options = parser.parse_args(argv)
    if options.list:
        print(listing)
        sys.exit(0)
    if options.name is None:
        parser.error("name a benchmark:\n" + listing)
    if options.rounds is None:
        options.rounds = 1 if options.quick else modules[options.name].ROUNDS
    if options.seconds is None:
        options.seconds = 0.4 if options.quick else modules[options.name].SECONDS
    if options.rounds < 1 or options.seconds < 0.1:
        parser.error("--rounds must be at least 1, and --seconds at least 0.1")
    options.root = ROOT
    return options


def build(directory: Path, targets: list[str]) -> None:
    if not (directory / "CMakeCache.txt").exists():
        raise BenchFailure(f"{directory} is not a build folder: run scripts/setup --dev first, or use --build-dir")
    # On standard error, so that the report alone is on standard output.
    if (
        subprocess.run(["cmake", "--build", directory, "--target", *targets], stdout=sys.stderr, check=False).returncode
        != 0
    ):
        raise BenchFailure(f"building {' and '.join(targets)} failed (see above)")


def main(argv: list[str]) -> int:
    options = parse_arguments(argv)
    # An exception ends the servers on its way out; the default action of SIGTERM would leave them running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    benchmark = importlib.import_module(MODULES[options.name])
    try:
        if not options.no_build:
            build(options.build_dir, benchmark.targets(options))
        result = benchmark.run(options)
        if options.json is not None:
            options.json.write_text(json.dumps(result, indent=1) + "\n")
    except BenchFailure as failure:
        print(f"scripts/bench {options.name}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
