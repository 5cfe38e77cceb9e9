"""The machine that a benchmark runs on, and what else happened on it meanwhile."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.harness.control import Control, Turn
from bench.harness.servers import Process, cpu_seconds

SPINNER = Path(__file__).with_name("spinner.py")


def cores() -> int:
    return len(os.sched_getaffinity(0))


def machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    return f"{cores()} cores of {model}"


@dataclass(frozen=True)
class Ticks:
    """What the kernel counted of all cores since it started, in seconds."""

    busy: float
    # What the host did not give although somebody here wanted to run.
    stolen: float

    @staticmethod
    def parse(text: str) -> "Ticks":
        """Of /proc/stat."""
        # user, nice, system, idle, iowait, irq, softirq, steal
        fields = [int(field) for field in text.split("\n", 1)[0].split()[1:9]]
        second = os.sysconf("SC_CLK_TCK")
        return Ticks((sum(fields) - fields[3] - fields[4] - fields[7]) / second, fields[7] / second)

    @staticmethod
    def now() -> "Ticks":
        return Ticks.parse(Path("/proc/stat").read_text())


class Watch:
    """Watches the machine while something is measured: how fast it was during each sample, and who else used it.

    A context manager, used by one thread. Others are all processes beside the servers, this one, the control and the
    programs that this one ran.
    """

    def __init__(self, servers: Sequence[Process]) -> None:
        self._servers = servers
        self._samples: list[tuple[float, float]] = []
        self.other_cores = 0.0
        self.stolen_cores = 0.0
        self.control = Control()

    def __enter__(self) -> Self:
        self._output = tempfile.TemporaryFile("w+")
        self._spinner = subprocess.Popen([sys.executable, str(SPINNER)], stdout=self._output)
        # It is there from the first sample on.
        while os.fstat(self._output.fileno()).st_size == 0 and self._spinner.poll() is None:
            time.sleep(0.01)
        self._began, self._before, self._own_before = time.monotonic(), Ticks.now(), self._own_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        seconds, now = time.monotonic() - self._began, Ticks.now()
        others = now.busy - self._before.busy - (self._own_seconds() - self._own_before)
        self.other_cores = max(0.0, others / seconds)
        self.stolen_cores = (now.stolen - self._before.stolen) / seconds
        self._spinner.kill()
        self._spinner.wait()
        self._output.seek(0)
        self.control = Control.of(Turn.parse(self._output.read()), self._samples)
        self._output.close()

    @contextmanager
    def sample(self) -> Iterator[None]:
        """The block is one measurement of one server."""
        began = time.monotonic()
        yield
        self._samples.append((began, time.monotonic()))

    def print(self) -> None:
        """After the block."""
        print(
            f"\nother processes kept {self.other_cores:.2f} cores busy (above 0.2, measure again when it is quiet);"
            f" the host took {self.stolen_cores:.2f} away"
        )
        self.control.print()

    def as_json(self) -> dict[str, Any]:
        """After the block: fields of a benchmark's result."""
        return {
            "other_load_cores": self.other_cores,
            "stolen_cores": self.stolen_cores,
            "control": self.control.as_json(),
        }

    def _own_seconds(self) -> float:
        running = sum(server.cpu_seconds() for server in self._servers) + cpu_seconds(self._spinner.pid)
        return sum(os.times()[:4]) + running
