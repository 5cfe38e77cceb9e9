"""Times steps of a decoder: `time_steps.py STEPS THREADS...` prints for each number of threads the median milliseconds
that a step takes, and those of them that the process computes.

With --busy, another process computes beside it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import torch

from decoder_parts import LIBRARY, Decoder, Shape


def measure(steps: int, numbers_of_threads: list[int]) -> list[tuple[float, float]]:
    # About as long as one of a small model: a fraction of a millisecond for each layer.
    decoder = Decoder(layers=12, shape=Shape(width=576, kv_heads=3, group=3, head_width=64, feed_forward=1536))
    x = decoder.tokens(4)
    positions = torch.full((4, 1), 20)
    taken: list[list[tuple[float, float]]] = [[] for _ in numbers_of_threads]
    # By turns, so that all see the same of what else the machine does.
    for _ in range(steps + 1):
        for threads, samples in zip(numbers_of_threads, taken, strict=True):
            torch.set_num_threads(threads)
            begin = time.perf_counter(), time.process_time()
            decoder.run(x, positions)
            samples.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    # The first one starts threads and takes memory.
    return [tuple(1e3 * statistics.median(each) for each in zip(*samples[1:], strict=True)) for samples in taken]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", type=int)
    parser.add_argument("threads", type=int, nargs="+")
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    torch.ops.load_library(LIBRARY)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if options.busy else None
    try:
        for wall, computing in measure(options.steps, options.threads):
            print(wall, computing)
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()


if __name__ == "__main__":
    main()
