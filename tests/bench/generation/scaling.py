"""The part of `scripts/bench generation` that shows what a step costs as streams and their context grow."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from bench.generation.contestants import RawGenerator
from bench.generation.models import BenchModel
from bench.harness.allocator import opponent_environment
from bench.harness.line_process import LineProcess
from bench.harness.machine import cores
from bench.harness.svg_plot import Line, draw

STREAMS = [1, 2, 4, 8, 16, 32, 64]
CONTEXTS = [128, 256, 512, 1024, 2048, 4096]
QUICK_STREAMS = [1, 4]
QUICK_CONTEXTS = [128, 512]
SECONDS = 0.3
# What the cache of SmolLM2 takes at most: 30 layers of 3 heads of 64, keys and values, in single precision.
BYTES_PER_TOKEN = 30 * 2 * 3 * 64 * 4
# Others need memory too.
SHARE_OF_FREE_MEMORY = 0.7


def run(options: argparse.Namespace, model: BenchModel) -> list[dict[str, Any]]:
    """Measures, prints a table, and draws it if asked to."""
    streams, contexts = (QUICK_STREAMS, QUICK_CONTEXTS) if options.quick else (STREAMS, CONTEXTS)
    program = options.build_dir / "tests" / "bench" / "bench_raw_generator"
    command = [str(program), "--model", str(model.model_file), "--threads", str(cores())]
    with LineProcess("bare LibTorch", command, opponent_environment(options)) as process:
        cells = measure(RawGenerator(process), streams, contexts, 0.1 if options.quick else SECONDS)
    print_table(cells, streams, contexts)
    if options.svg is not None:
        lines = [
            Line(str(count), [(at, 1000 * cells[count, at]) for at in contexts if (count, at) in cells])
            for count in streams
        ]
        options.svg.write_text(
            draw("A step of the bare model", "tokens of context", "ms", "streams", lines), encoding="utf-8"
        )
    return [{"streams": count, "context": context, "seconds": seconds} for (count, context), seconds in cells.items()]


def measure(raw: RawGenerator, streams: list[int], contexts: list[int], seconds: float) -> dict[tuple[int, int], float]:
    """Seconds of a step by streams and context. What does not fit into memory is left out."""
    room = SHARE_OF_FREE_MEMORY * available_memory()
    cells = {}
    for context in contexts:
        # The most streams first: the others use the same memory.
        for count in sorted(streams, reverse=True):
            if count * context * BYTES_PER_TOKEN < room:
                cells[count, context] = raw.step_seconds(count, context, seconds)
        print(f"steps with {context} tokens of context done", file=sys.stderr, flush=True)
    return cells


def available_memory() -> int:
    """In bytes."""
    found = re.search(r"^MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def print_table(cells: dict[tuple[int, int], float], streams: list[int], contexts: list[int]) -> None:
    print("\nms of a step of the bare model, by streams and tokens of context (-: does not fit into free memory)")
    print("streams |" + "".join(f"{context:9}" for context in contexts))
    for count in streams:
        found = [cells.get((count, context)) for context in contexts]
        print(f"{count:7} |" + "".join("        -" if cell is None else f"{cell * 1000:9.1f}" for cell in found))
