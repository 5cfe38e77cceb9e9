"""The servers that `transport` compares: predictd on the `linear` test model, and the two echoes."""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness.allocator import opponent_environment
from bench.harness.checker import Checker
from bench.harness.failure import BenchFailure
from bench.harness.load import LoadClient, Point, Report
from bench.harness.messages import MODEL, PREDICT, WIDTH, InferMessages, PredictMessages
from bench.harness.predictd import NAME, running_predictd
from bench.harness.servers import ServerProcess

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

    def __init__(self, server: ServerProcess, load: LoadClient, checker: Checker[Any], name: str | None = None) -> None:
        """`name` is another one than the server's."""
        self.server = server
        self.name = name or server.name
        self._load = load
        self._checker = checker
        self.answer_bytes = checker.check_one()
        self._loaded_calls = 0

    @property
    def calls(self) -> int:
        """All calls that it answered so far."""
        return self._loaded_calls + self._checker.checked

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
        report = self._load.run(self.server.address, point, seconds, self.answer_bytes, latencies)
        self._loaded_calls += report.succeeded
        return report

    def make_calls(self, point: Point, calls: int) -> None:
        """So many calls, all of them answered. Raises when one was not."""
        self._load.run_calls(self.server.address, point, calls, self.answer_bytes)
        self._loaded_calls += calls

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


class Stage:
    """Starts servers and the clients that load and check them, in one temporary folder. All end with `stack`."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self._options = options
        self._stack = stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="predictd-bench-")))
        self.messages = PredictMessages(options.root, self.folder)
        request = self.messages.request(np.random.default_rng(1).standard_normal(WIDTH, dtype=np.float32))
        self._load = LoadClient(request, PREDICT, self.folder)

    def start(self, name: str, command: list[str], stack: ExitStack | None = None) -> ServerProcess:
        """An opponent that says on its standard output where it listens; it ends with `stack` if that is given."""
        log = self.folder / f"{name.replace(' ', '-')}.log"
        server = ServerProcess(name, command, log, environment=opponent_environment(self._options))
        return (stack or self._stack).enter_context(server)

    def echo(
        self, name: str, queues: int, wrapper: Sequence[str] = (), stack: ExitStack | None = None
    ) -> ServerProcess:
        """`wrapper` is a command that runs another one."""
        program = self._options.build_dir / "tests" / "bench" / "bench_echo_server"
        return self.start(name, [*wrapper, str(program), "--queues", str(queues)], stack)

    def predictd(
        self,
        name: str = NAME,
        flags: list[str] | None = None,
        wrapper: Sequence[str] = (),
        stack: ExitStack | None = None,
    ) -> ServerProcess:
        """predictd on the `linear` test model (see running_predictd); it ends with `stack` if that is given."""
        running = running_predictd(self._options, self.repository, self.folder, name, flags, wrapper)
        return (stack or self._stack).enter_context(running)

    @cached_property
    def repository(self) -> Path:
        """The folder of the `linear` test model."""
        repository = self.folder / "models"
        exporter = self._options.root / "scripts" / "export_test_models.py"
        export = [sys.executable, exporter, "--models-dir", repository, "--only", MODEL]
        if subprocess.run(export, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            raise BenchFailure(f"exporting the {MODEL} test model failed (see above)")
        return repository

    def set_queue_capacity(self, requests: int) -> None:
        """How many requests may wait for the model, for the servers that are started after this."""
        config = self.repository / MODEL / "model.toml"
        config.write_text(f"queue_capacity = {requests}\n{config.read_text()}")

    @cached_property
    def linear(self) -> Callable[[np.ndarray], np.ndarray]:
        """What the `linear` test model computes."""
        return linear_model(self.repository)

    def load_client(self, name: str, request: bytes, path: str) -> LoadClient:
        """One that sends another request, or to another method."""
        folder = self.folder / name
        folder.mkdir()
        return LoadClient(request, path, folder)

    def contest(
        self, server: ServerProcess, expected: Callable[[np.ndarray], np.ndarray], stack: ExitStack | None = None
    ) -> Contestant:
        checker = Checker(server.name, server.address, self.messages, expected)
        (stack or self._stack).enter_context(closing(checker))
        return Contestant(server, self._load, checker)

    def contest_by_infer(
        self, server: ServerProcess, name: str, expected: Callable[[np.ndarray], np.ndarray]
    ) -> Contestant:
        """The same server under the same rows by the Open Inference Protocol."""
        messages = InferMessages(self._options.root, self.folder)
        request = messages.request(np.random.default_rng(1).standard_normal(WIDTH, dtype=np.float32))
        checker = self._stack.enter_context(closing(Checker(name, server.address, messages, expected)))
        return Contestant(server, self.load_client("infer", request, messages.path), checker, name)


@contextmanager
def contestants(options: argparse.Namespace) -> Iterator[list[Contestant]]:
    """Starts all three, the subject first, and ends them with the block. Only one should get load at a time."""
    with ExitStack() as stack:
        stage = Stage(options, stack)
        if options.subject_cmd is not None:
            started = [stage.contest(stage.start("subject", shlex.split(options.subject_cmd)), lambda row: row)]
        else:
            started = [stage.contest(stage.predictd(), stage.linear)]
        for name, queues in ECHOES.items():
            started.append(stage.contest(stage.echo(name, queues), lambda row: row))
        yield started
        for contestant in started:
            contestant.check_last()
