"""The load: h2load, the cheapest HTTP/2 client there is, so that the server is what is measured."""

import re
import shutil
import struct
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.harness.failure import BenchFailure

# A gRPC message on the wire: one byte of flags and four of length, then the message.
PREFIX_BYTES = 5


def frame(message: bytes) -> bytes:
    """The body of a unary gRPC request."""
    return b"\0" + struct.pack(">I", len(message)) + message


@dataclass(frozen=True)
class Point:
    """How the load is offered. `in_flight` calls are spread evenly over the connections."""

    connections: int
    in_flight: int

    def __str__(self) -> str:
        return f"{self.connections}x{self.in_flight}"

    @staticmethod
    def parse(text: str) -> "Point":
        """`CONNECTIONSxIN_FLIGHT`, as in 8x64. Raises ValueError."""
        found = re.fullmatch(r"(\d+)x(\d+)", text)
        connections, in_flight = (int(group) for group in found.groups()) if found else (0, 0)
        if connections < 1 or in_flight < connections or in_flight % connections != 0:
            raise ValueError(f"'{text}' must be CONNECTIONSxIN_FLIGHT, the second a multiple of the first, as in 8x64")
        return Point(connections, in_flight)


@dataclass(frozen=True)
class Report:
    """What h2load printed about one run."""

    calls_per_second: float
    succeeded: int
    not_succeeded: int
    data_bytes: int
    # Each call's time, in order of size; empty unless it was asked for.
    latencies_us: list[int] = field(default_factory=list)

    @staticmethod
    def parse(text: str) -> "Report":
        rate = re.search(r"^finished in .*?, ([\d.]+) req/s", text, re.MULTILINE)
        counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
        data = re.search(r"\((\d+)\) data$", text, re.MULTILINE)
        if not (rate and counts and data):
            raise BenchFailure(f"h2load printed something unexpected:\n{text}")
        succeeded, *others = (int(group) for group in counts.groups())
        return Report(float(rate[1]), succeeded, sum(others), int(data[1]))

    def require_full_answers(self, answer_bytes: int, in_flight: int, messages: int = 1) -> None:
        """Raises unless each call that counted as a success carried an answer of this size, in so many messages.

        h2load judges by the HTTP status, which is 200 for gRPC errors as well; but an error has no message. Calls that
        were in flight when the time was up may have been answered in part, and do not count as successes.
        """
        if self.succeeded == 0 or self.not_succeeded > 0:
            raise BenchFailure(f"h2load: {self.succeeded} calls succeeded, {self.not_succeeded} did not")
        full = answer_bytes + messages * PREFIX_BYTES
        if not self.succeeded * full <= self.data_bytes <= (self.succeeded + in_flight) * full:
            raise BenchFailure(
                f"{self.succeeded} calls returned {self.data_bytes} bytes of answers where {self.succeeded * full} were"
                " expected: some calls ended with gRPC errors, or other answers came"
            )


class LoadClient:
    """Sends one request over and over. Belongs to the thread that made it; runs one load at a time."""

    def __init__(self, request: bytes, path: str, folder: Path) -> None:
        """`folder` is for its own files, which no other LoadClient may share."""
        if shutil.which("h2load") is None:
            raise BenchFailure("h2load is missing (Debian: nghttp2-client): run scripts/setup --dev first")
        self._path = path
        self._body = folder / "request.bin"
        self._body.write_bytes(frame(request))
        self._latencies = folder / "latencies.tsv"

    def run(self, address: str, point: Point, seconds: float, answer_bytes: int, latencies: bool = False) -> Report:
        """Offers the load for that long. Raises when any call went wrong."""
        self._latencies.unlink(missing_ok=True)
        log = [f"--log-file={self._latencies}"] if latencies else []
        duration = f"--duration={round(seconds * 1000)}ms"
        report = Report.parse(self._h2load(address, point, duration, *log, patience=seconds + 60))
        report.require_full_answers(answer_bytes, point.in_flight)
        if not latencies:
            return report
        rows = self._latencies.read_text().splitlines()
        return replace(report, latencies_us=sorted(int(row.split("\t")[2]) for row in rows))

    def run_calls(self, address: str, point: Point, calls: int, answer_bytes: int, messages: int = 1) -> Report:
        """Makes that many calls, each answered with `messages` messages. Raises when any call went wrong.

        All calls end, so every byte is accounted for.
        """
        report = Report.parse(self._h2load(address, point, f"--requests={calls}", patience=600))
        report.require_full_answers(answer_bytes, in_flight=0, messages=messages)
        if report.succeeded != calls:
            raise BenchFailure(f"h2load made {report.succeeded} of {calls} calls")
        return report

    def _h2load(self, address: str, point: Point, *more: str, patience: float) -> str:
        command = ["h2load", f"--clients={point.connections}", f"-m{point.in_flight // point.connections}"]
        command += [f"--data={self._body}", "-H", "content-type: application/grpc", "-H", "te: trailers", *more]
        done = subprocess.run(
            [*command, f"http://{address}{self._path}"],
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
        if done.returncode != 0:
            raise BenchFailure(f"h2load failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout
