"""Times steps of a decoder: `time_steps.py STEPS THREADS...` prints the median milliseconds for each number of threads.

With --one-processor, all of it is on one; with --busy, another process computes there, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

import torch
from decoder_parts import LIBRARY, Decoder, Shape


def measure(steps: int, numbers_of_threads: list[int]) -> list[float]:
    # About as long as one of a small model: a fraction of a millisecond for each layer.
    decoder = Decoder(layers=12, shape=Shape(width=576, kv_heads=3, group=3, head_width=64, feed_forward=1536))
    x = decoder.tokens(4)
    positions = torch.full((4, 1), 20)
    taken: list[list[float]] = [[] for _ in numbers_of_threads]
    # By turns, so that all see the same of what else the machine does.
    for _ in range(steps + 1):
        for threads, samples in zip(numbers_of_threads, taken):
            torch.set_num_threads(threads)
            begin = time.perf_counter()
            decoder.run(x, positions)
            samples.append(time.perf_counter() - begin)
    # The first one starts threads and takes memory.
    return [1e3 * statistics.median(samples[1:]) for samples in taken]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", type=int)
    parser.add_argument("threads", type=int, nargs="+")
    parser.add_argument("--one-processor", action="store_true")
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    if options.one_processor:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.ops.load_library(LIBRARY)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if options.busy else None
    try:
        print(*measure(options.steps, options.threads))
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()


if __name__ == "__main__":
    main()
