"""Runs idle_clients.py for a benchmark, and checks that what it opened stayed open."""

import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.harness.failure import BenchFailure

# For everything that is not a connection.
SPARE_DESCRIPTORS = 500
# Of a connection, at its server, which takes no more of them than it has files for.
SERVER_DESCRIPTORS = 2


@dataclass(frozen=True)
class Crowd:
    """How many idle connections, with how many calls on each. `message` is a file with the request of each call."""

    connections: int
    streams: int = 0
    path: str = ""
    message: Path | None = None
    # The clients let the server send no message, so that whoever streams has to wait.
    no_window: bool = False

    @property
    def all_streams(self) -> int:
        return self.connections * self.streams


def most_connections() -> int:
    """As many as a server here can have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 10**6 if hard == resource.RLIM_INFINITY else (hard - SPARE_DESCRIPTORS) // SERVER_DESCRIPTORS


def descriptor_limit(connections: int, of_each: int = 1) -> int:
    """The open files that a process with so many connections needs. Raises when it cannot have them."""
    wanted = of_each * connections + SPARE_DESCRIPTORS
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise BenchFailure(f"{connections} connections need {wanted} open files; the limit is {hard} (ulimit -Hn)")
    return wanted


def limited(files: int) -> list[str]:
    """A command that runs another one with that limit of open files."""
    return ["prlimit", f"--nofile={files}:{files}"]


def parse_counts(line: str, word: str) -> tuple[int, int]:
    """Connections and streams in a line of idle_clients.py."""
    found = re.fullmatch(rf"{word} connections=(\d+) streams=(\d+)\s*", line)
    if not found:
        raise BenchFailure(f"the idle clients printed {line!r} where `{word} ...` was expected (see above)")
    return int(found[1]), int(found[2])


@contextmanager
def idle(address: str, crowd: Crowd) -> Iterator[None]:
    """They are open while the block runs. Raises at its end if the server closed any."""
    command = [*limited(descriptor_limit(crowd.connections)), sys.executable, "-m", "bench.idle.idle_clients", address]
    command += [f"--connections={crowd.connections}", f"--streams={crowd.streams}", f"--path={crowd.path}"]
    command += [f"--message={crowd.message}"] if crowd.message else []
    command += ["--no-window"] if crowd.no_window else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            opened = parse_counts(process.stdout.readline(), "open")
            yield
            process.stdin.close()
            held = parse_counts(process.stdout.readline(), "held")
        except BaseException:
            process.kill()
            raise
    if not opened == held == (crowd.connections, crowd.all_streams):
        raise BenchFailure(f"of {opened} idle connections and streams {held} were left")
