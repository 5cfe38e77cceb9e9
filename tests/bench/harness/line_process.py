"""A helper process that answers lines with lines: started once, so that it loads its model once."""

import os
import subprocess
import threading
from collections.abc import Mapping
from typing import Self

from bench.harness.failure import BenchFailure
from bench.harness.servers import cpu_seconds


class LineProcess:
    """A context manager: leaving it ends the process. Used by one thread. `environment` is added to ours."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, line: str, patience: float = 900.0) -> str:
        """Raises when no answer comes in that many seconds, or the process ends."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(patience, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            timer.cancel()
        if not answer.endswith("\n"):
            raise BenchFailure(f"{self.name} ended, or did not answer within {patience:g} s (see above)")
        return answer

    def cpu_seconds(self) -> float:
        """User and system time of all its threads since its start."""
        return cpu_seconds(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
