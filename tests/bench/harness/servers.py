"""Server processes under test: started on a free loopback port, watched, and ended by SIGTERM."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

from bench.harness.failure import BenchFailure

START_SECONDS = 60
# Under callgrind, writing its last dump takes a while.
STOP_SECONDS = 60
LISTENING = r"listening on \S+:(\d+)\s"


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process(Protocol):
    """What is asked of a process whose time is told from that of others."""

    def cpu_seconds(self) -> float: ...


class ServerProcess:
    """One server, from its start to its exit. A context manager: leaving it ends the process.

    The server says where it listens either on its standard output, which `listening` matches, or in `port_file`. It
    ends with status 0, or, if that is what it does after its clean-up, `by_signal`. `environment` is added to this
    process's own.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        port_file: Path | None = None,
        listening: str = LISTENING,
        by_signal: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._clean_statuses = {0, -signal.SIGTERM} if by_signal else {0}
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        try:
            self.port = self._wait_for_port(port_file, listening)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """User and system time of all its threads since its start."""
        return cpu_seconds(self.pid)

    def log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._process.terminate()
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if kind is None and status not in self._clean_statuses:
            raise BenchFailure(f"{self.name} did not end cleanly on SIGTERM (status {status}):\n{self.log_tail()}")

    def _wait_for_port(self, port_file: Path | None, listening: str) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if port_file is None:
                found = re.search(listening, self._log.read_text(errors="replace"))
            else:
                found = re.search(r"(\d+)\s*$", port_file.read_text()) if port_file.exists() else None
            if found:
                return int(found[1])
            if self._process.poll() is not None:
                raise BenchFailure(f"{self.name} ended at its start:\n{self.log_tail()}")
            time.sleep(0.002)
        raise BenchFailure(f"{self.name} did not listen within {START_SECONDS} s:\n{self.log_tail()}")
