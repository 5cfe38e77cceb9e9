"""The machine that a benchmark runs on, and who else uses it."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from bench.harness.servers import Process


def cores() -> int:
    return len(os.sched_getaffinity(0))


def machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    return f"{cores()} cores of {model}"


class OtherLoad:
    """How busy this machine was since the construction, beside the servers, this process and the programs it ran."""

    def __init__(self, servers: Sequence[Process]) -> None:
        self._servers = servers
        self._started = time.monotonic()
        self._before = self._seconds()

    def cores(self) -> float:
        return max(0.0, (self._seconds() - self._before) / (time.monotonic() - self._started))

    def _seconds(self) -> float:
        # user, nice, system, idle, iowait, irq, softirq, steal
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        return busy - sum(own[:4]) - sum(server.cpu_seconds() for server in self._servers)


def print_other_load(busy_cores: float) -> None:
    print(f"\nother processes kept {busy_cores:.2f} cores busy; above 0.2, measure again when it is quiet")
