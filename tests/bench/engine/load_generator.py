"""bench_load_generator: Predict calls in an open or a closed loop, and whether its figures can be trusted."""

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.harness.failure import BenchFailure
from bench.harness.servers import ServerProcess

TARGET = "bench_load_generator"
# What a call may end with under load. Anything else is no matter of load.
ORDINARY_CODES = {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
# A generator that starts half of its calls later than this cannot keep the pace it was asked for.
SATURATED_US = 5000.0
END_SECONDS = 60


@dataclass(frozen=True)
class Load:
    """Offered calls: `rate` per second (open loop, Poisson), or else `in_flight` all the time (closed loop)."""

    seconds: float
    rate: float = 0.0
    in_flight: int = 0
    # From the intended start; 0: none.
    deadline_ms: float = 0.0
    warm_up: float = 0.5
    connections: int = 2
    seed: int = 1

    def arguments(self) -> list[str]:
        kind = f"--rate={self.rate!r}" if self.rate > 0 else f"--in-flight={self.in_flight}"
        times = [f"--seconds={self.seconds!r}", f"--warm-up={self.warm_up!r}", f"--deadline-ms={self.deadline_ms!r}"]
        return [kind, *times, f"--connections={self.connections}", f"--seed={self.seed}"]


@dataclass(frozen=True)
class Outcome:
    """What became of the calls: the generator's report, whose words load_run.h explains."""

    seconds: float
    asked_rate: float
    sent: int
    codes: dict[str, int]
    in_time: int
    late: int
    wrong: int
    unfinished: int
    ok_in_window: int
    ok_us: dict[str, float] | None
    refused_us: dict[str, float] | None
    send_late_us: dict[str, float] | None
    client_cpu_seconds: float
    server_cpu_seconds: float

    @staticmethod
    def parse(text: str) -> "Outcome":
        try:
            return Outcome(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise BenchFailure(f"{TARGET} printed something unexpected ({error}):\n{text}") from error

    @property
    def ok_per_second(self) -> float:
        return self.ok_in_window / self.seconds

    @property
    def goodput(self) -> float:
        """Right answers in time, per second."""
        return self.in_time / self.seconds

    def count(self, code: str) -> int:
        return self.codes.get(code, 0)

    def require_sound(self) -> Self:
        """Raises when an answer was wrong or did not come, or when the generator itself was what was slow."""
        if self.wrong > 0:
            raise BenchFailure(f"{self.wrong} of {self.sent} calls got wrong answers")
        if self.unfinished > 0:
            raise BenchFailure(f"{self.unfinished} of {self.sent} calls did not end")
        strange = {code: count for code, count in self.codes.items() if code not in ORDINARY_CODES}
        if strange:
            raise BenchFailure(f"calls ended with codes that load does not explain: {strange}")
        if self.send_late_us is None:
            raise BenchFailure("no call was made")
        if self.asked_rate > 0 and self.send_late_us["p50"] > SATURATED_US:
            late = self.send_late_us["p50"] / 1000
            raise BenchFailure(f"the load generator is saturated: half of its calls began {late:.0f} ms late or later")
        return self

    def require_all_answered(self) -> Self:
        """Raises when a call was refused or ran out of time, for loads where none should be."""
        if self.count("OK") < self.sent:
            raise BenchFailure(f"not all of {self.sent} calls were answered: {self.codes}")
        return self


class RunningLoad:
    """A load that goes on beside other things. A context manager: leaving it ends the generator if it still runs."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def outcome(self) -> Outcome:
        """Waits for the end of the load. Raises when its figures cannot be trusted."""
        output, _ = self._process.communicate(timeout=END_SECONDS)
        if self._process.returncode != 0:
            raise BenchFailure(f"{TARGET} failed with status {self._process.returncode} (see above)")
        return Outcome.parse(output).require_sound()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Generator:
    """Loads one server with the calls of one file."""

    def __init__(self, options: argparse.Namespace, server: ServerProcess, calls: Path) -> None:
        program = options.build_dir / "tests" / "bench" / TARGET
        self._command = [str(program), "--address", server.address, "--calls", str(calls)]
        self._command += ["--server-pid", str(server.pid)]

    def start(self, load: Load) -> RunningLoad:
        return RunningLoad([*self._command, *load.arguments()])

    def run(self, load: Load) -> Outcome:
        with self.start(load) as running:
            return running.outcome()
