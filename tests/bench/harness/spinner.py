"""The control beside every benchmark: a loop that is always the same, on each core in turn, and how long it takes.

Prints a line for each time: when it began by the monotonic clock, and how many seconds it took, of CPU time and of
time. It takes about a fiftieth of one core. Knows nothing of the other files here.
"""

import itertools
import os
import sys
import time

# Half a millisecond: less than the kernel lets a process run before it looks at others.
LOOPS = 30_000
PAUSE_SECONDS = 0.025


def main() -> None:
    parent = os.getppid()
    for core in itertools.cycle(sorted(os.sched_getaffinity(0))):
        os.sched_setaffinity(0, {core})
        began, cpu = time.monotonic(), time.thread_time()
        for _ in range(LOOPS):
            pass
        cpu_seconds, seconds = time.thread_time() - cpu, time.monotonic() - began
        sys.stdout.write(f"{began:.6f} {cpu_seconds:.9f} {seconds:.9f}\n")
        sys.stdout.flush()
        time.sleep(PAUSE_SECONDS)
        # Whoever started it has gone.
        if os.getppid() != parent:
            return


if __name__ == "__main__":
    main()
