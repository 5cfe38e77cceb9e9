"""The servers that `transport` compares: predictd on the `linear` test model, and the two echoes."""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.checker import Checker
from bench.failure import BenchFailure
from bench.load import LoadClient, Point, Report
from bench.messages import MODEL, PREDICT, WIDTH, PredictMessages
from bench.predictd import running_predictd
from bench.servers import ServerProcess

ECHOES = {"echo 1 queue": 1, "echo 2 queues": 2}
WARM_UP_SECONDS = 0.2


@dataclass(frozen=True)
class Sample:
    """One server under one load once."""

    calls_per_second: float
    cpu_us_per_call: float
    # In order of size; empty unless they were asked for.
    latencies_us: list[int]


class Contestant:
    """A running server with the clients that load and check it. Ends with the `contestants` block it came from."""

    def __init__(self, server: ServerProcess, load: LoadClient, checker: Checker) -> None:
        self.server = server
        self.name = server.name
        self._load = load
        self._checker = checker
        self.answer_bytes = checker.check_one()

    @property
    def checked_answers(self) -> int:
        return self._checker.checked

    def measure(self, point: Point, seconds: float, latencies: bool) -> Sample:
        """Warms up, then measures, with the checker calling alongside. Raises when any answer is wrong."""
        with self._checker:
            self.load(point, WARM_UP_SECONDS)
            before = self.server.cpu_seconds()
            report = self.load(point, seconds, latencies)
            cpu = self.server.cpu_seconds() - before
        return Sample(report.calls_per_second, cpu * 1e6 / report.succeeded, report.latencies_us)

    def load(self, point: Point, seconds: float, latencies: bool = False) -> Report:
        """Load alone, without the checker."""
        return self._load.run(self.server.address, point, seconds, self.answer_bytes, latencies)

    def check_last(self) -> None:
        """Once more when all load is over: the server must still be right."""
        if self._checker.check_one() != self.answer_bytes:
            raise BenchFailure(f"{self.name}: the size of its answers changed")


def linear_model(repository: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What the exported model computes, from its weights and without LibTorch's kernels."""
    import torch  # Here because it takes seconds, and comparing two echoes does not need it.

    parameters = list(torch.jit.load(str(repository / MODEL / "1" / "model.pt")).parameters())
    shapes = {tuple(value.shape): value.detach().numpy().astype(np.float64) for value in parameters}
    if set(shapes) != {(WIDTH, WIDTH), (WIDTH,)}:
        raise BenchFailure(f"the {MODEL} test model is not one Linear({WIDTH}, {WIDTH}): {sorted(shapes)}")
    weight, bias = shapes[WIDTH, WIDTH], shapes[WIDTH,]
    return lambda row: row.astype(np.float64) @ weight.T + bias


@contextmanager
def contestants(options: argparse.Namespace) -> Iterator[list[Contestant]]:
    """Starts all three, the subject first, and ends them with the block. Only one should get load at a time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        messages = PredictMessages(options.root, folder)
        request = messages.request(np.random.default_rng(1).standard_normal(WIDTH, dtype=np.float32))
        load = LoadClient(request, PREDICT, folder)

        def contest(server: ServerProcess, expected: Callable[[np.ndarray], np.ndarray]) -> Contestant:
            checker = stack.enter_context(closing(Checker(server.name, server.address, messages, expected)))
            return Contestant(server, load, checker)

        def start(name: str, command: list[str]) -> ServerProcess:
            return stack.enter_context(ServerProcess(name, command, folder / f"{name.replace(' ', '-')}.log"))

        started = []
        if options.subject_cmd is not None:
            subject = start("subject", shlex.split(options.subject_cmd))
            started.append(contest(subject, lambda row: row))
        else:
            repository = folder / "models"
            exporter = options.root / "scripts" / "export_test_models.py"
            export = [sys.executable, exporter, "--models-dir", repository, "--only", MODEL]
            if subprocess.run(export, stdout=subprocess.DEVNULL).returncode != 0:
                raise BenchFailure(f"exporting the {MODEL} test model failed (see above)")
            subject = stack.enter_context(running_predictd(options, repository, folder))
            started.append(contest(subject, linear_model(repository)))
        echo = str(options.build_dir / "tests" / "bench" / "bench_echo_server")
        for name, queues in ECHOES.items():
            started.append(contest(start(name, [echo, "--queues", str(queues)]), lambda row: row))
        yield started
        for contestant in started:
            contestant.check_last()
