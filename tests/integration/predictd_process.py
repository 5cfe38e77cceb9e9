"""Starts and stops the real server for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protocol import ROOT, Client

# (name, {(label, value), ...}) -> value
Metrics = dict[tuple[str, frozenset[tuple[str, str]]], float]

BINARY = Path(os.environ.get("PREDICTD_BINARY", ROOT / "build/bin/predictd")).resolve()
TEST_MODELS = Path(os.environ.get("PREDICTD_TEST_MODELS", ROOT / "build/test-models")).resolve()
DEMO_MODELS = ROOT / "models"
START_SECONDS = 60
POLL_SECONDS = 0.01


class PredictdProcess:
    """A running predictd on free ports of 127.0.0.1, with JSON logs by default. A context manager: entering returns
    when its health says SERVING, leaving stops it and checks that it ended well and lost no call.

    `models` is a repository, or the names of test models (and "digits", the demo's) to serve. `before` is what runs it:
    `taskset` or `prlimit` with their arguments. Half of the tests have as many event loops as suit the machine, and
    half have four, as with eight cores; the environment variable PREDICTD_TEST_LOOPS gives all the same number.
    """

    def __init__(
        self,
        models: Path | Sequence[str],
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        wait_until_serving: bool = True,
        listen: str = "127.0.0.1:0",
        before: Sequence[str] = (),
    ) -> None:
        self._listen = listen
        self._before = list(before)
        self._folder = tempfile.TemporaryDirectory(prefix="predictd-test-")
        self._flags = list(flags)
        self._env = dict(env or {})
        self._wait_until_serving = wait_until_serving
        self.repository = (
            models if isinstance(models, Path) else make_repository(Path(self._folder.name, "models"), models)
        )
        self._port_file = Path(self._folder.name, "port")
        self._metrics_port_file = Path(self._folder.name, "metrics-port")
        self._process: subprocess.Popen[str] | None = None
        self._log_changed = threading.Condition()
        self._lines: list[str] = []
        self._log_ended = False
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.kill()
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.running():
                exit_code = self.stop()
                if kind is None:
                    assert exit_code == 0, f"predictd ended with {exit_code}:\n{self.log_text()}"
                    self.check_no_call_was_lost()
        finally:
            self.kill()
            if kind is not None:
                print(f"the log of predictd:\n{self.log_text()}")
            self._folder.cleanup()

    # --- Life ---

    def _start(self) -> None:
        command: list[str | Path] = [
            *self._before,
            BINARY,
            f"--model-repository={self.repository}",
            f"--listen={self._listen}",
            f"--port-file={self._port_file}",
            "--metrics-listen=127.0.0.1:0",
            f"--metrics-port-file={self._metrics_port_file}",
            *self._flags,
        ]
        if not any(flag.startswith("--log-format") for flag in self._flags):
            command.append("--log-format=json")
        if not any(flag.startswith("--loops") for flag in self._flags):
            command.append(f"--loops={_loops()}")
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, errors="replace", env=server_environment(self._env)
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        eventually(lambda: self._port_file.exists() or not self.running(), START_SECONDS, "the port file")
        assert self.running(), f"predictd ended with {self._process.returncode}:\n{self.log_text()}"
        self.port = int(self._port_file.read_text())
        if self._wait_until_serving:
            self.wait_for_health(timeout=deadline - time.monotonic())

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send_signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout: float = 60) -> int:
        """Waits for the process to end by itself, and for the rest of its log; returns the exit code."""
        assert self._process is not None
        exit_code = self._process.wait(timeout)
        with self._log_changed:
            assert self._log_changed.wait_for(lambda: self._log_ended, timeout), "the log has no end"
        return exit_code

    def stop(self, timeout: float = 60) -> int:
        """Drains with SIGTERM; returns the exit code."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """Ends the process at once, if it still runs."""
        if self.running():
            self.send_signal(signal.SIGKILL)
            self.wait()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def check_no_call_was_lost(self) -> None:
        """After a drain: every accepted call has ended with a status."""
        if "--log-level=error" in self._flags:
            return
        pattern = r"\bstopped\b.*\bcalls_accepted\W+(\d+)\W+calls_ended\W+(\d+)"
        stopped = re.search(pattern, self.log_text())
        assert stopped, self.log_text()
        assert stopped[1] == stopped[2], self.log_text()

    # --- Calls ---

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def new_channel(self, *options: tuple[str, Any]) -> grpc.Channel:
        """A channel with a connection of its own."""
        own = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        return grpc.insecure_channel(self.address, options=[*own, *options])

    @property
    def channel(self) -> grpc.Channel:
        """A channel that is closed when the server is stopped."""
        if self._channel is None:
            self._channel = self.new_channel()
        return self._channel

    @property
    def client(self) -> Client:
        return Client(self.channel)

    def wait_for_health(self, service: str = "", serving: bool = True, timeout: float = START_SECONDS) -> None:
        """Watches the health of the server, or of a model, until it is as wanted."""
        response = health_pb2.HealthCheckResponse
        wanted = response.SERVING if serving else response.NOT_SERVING
        with self.new_channel() as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout, wait_for_ready=True
            )
            try:
                for update in watch:
                    if update.status == wanted:
                        return
            except grpc.RpcError as error:
                raise AssertionError(
                    f"health did not become as wanted: {error.details()}\n{self.log_text()}"
                ) from error
            raise AssertionError(f"the watch ended\n{self.log_text()}")

    # --- What it says ---

    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{int(self._metrics_port_file.read_text())}/metrics"

    def metrics(self) -> Metrics:
        with urllib.request.urlopen(self.metrics_url(), timeout=10) as answer:
            return parse_metrics(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series of that name with (at least) these labels."""
        wanted = set(labels.items())
        return sum(value for (found, series), value in self.metrics().items() if found == name and wanted <= series)

    def wait_for_metric(self, name: str, value: float, timeout: float = 30, **labels: str) -> None:
        """Waits until the sum of the series is `value`."""
        eventually(lambda: self.metric(name, **labels) == value, timeout, f"{name} {labels} to be {value}")

    def wait_until_idle(self, timeout: float = 30) -> None:
        """Waits until no counter of calls and work in progress is above zero, but those of watches of health."""

        def left() -> Metrics:
            gauges = ("predictd_requests_in_flight", "predictd_queue_depth", "predictd_requests_running")
            return {key: value for key, value in self.metrics().items() if key[0] in gauges and value != 0}

        eventually(lambda: not left(), timeout, lambda: f"no work to be left, but there is {left()}")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def own_bytes(self) -> int:
        """What is resident without what belongs to files, such as libraries."""
        pages = [int(number) for number in Path(f"/proc/{self.pid}/statm").read_text().split()]
        return (pages[1] - pages[2]) * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """The most that resident_bytes has been."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert found, status
        return int(found[1]) * 1024

    def log_lines(self) -> list[str]:
        """What the server has logged so far."""
        with self._log_changed:
            return list(self._lines)

    def log_text(self) -> str:
        return "\n".join(self.log_lines())

    def log_records(self) -> list[dict[str, Any]]:
        """The lines, parsed."""
        return [json.loads(line) for line in self.log_lines()]

    def wait_for_log(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 30) -> dict[str, Any]:
        """Waits for a record that is wanted; returns the first."""

        def find() -> dict[str, Any] | None:
            return next((record for record in map(json.loads, self._lines) if wanted(record)), None)

        with self._log_changed:
            found = self._log_changed.wait_for(find, timeout)
        assert found is not None, f"the log lacks a record:\n{self.log_text()}"
        return found

    def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._log_changed:
                self._lines.append(line.rstrip("\n"))
                self._log_changed.notify_all()
        with self._log_changed:
            self._log_ended = True
            self._log_changed.notify_all()


def _loops() -> int:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    return int(os.environ.get("PREDICTD_TEST_LOOPS", zlib.crc32(test.encode()) % 2 * 4))


def run_predictd(*arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a predictd that is expected to end by itself."""
    return subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=60, check=False, env=server_environment(env or {})
    )


def server_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Our environment without settings of predictd, which whoever runs the tests may have, and with `own` ones."""
    theirs = ("PREDICTD_", "OTEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)} | dict(own)


def make_repository(folder: Path, names: Sequence[str]) -> Path:
    """A repository of links to test models and the demo model."""
    folder.mkdir(parents=True)
    for name in names:
        model = (DEMO_MODELS if name == "digits" else TEST_MODELS) / name
        assert (model / "model.toml").exists(), f"{model} is missing: scripts/test makes it"
        (folder / name).symlink_to(model)
    return folder


def parse_metrics(text: str) -> Metrics:
    """Prometheus' text format, without what it says about times and exemplars (predictd sends none)."""
    metrics: Metrics = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        series, value = line.rsplit(" ", 1)
        name, _, labels = series.rstrip("}").partition("{")
        pairs = [label.partition("=") for label in labels.rstrip(",").split(",") if label]
        metrics[name, frozenset((key, quoted.strip('"')) for key, _, quoted in pairs)] = float(value)
    return metrics


def has(key: str, value: object) -> Callable[[dict[str, Any]], bool]:
    """Wants the log record that has that."""
    return lambda record: record.get(key) == value


def eventually(condition: Callable[[], Any], timeout: float, what: str | Callable[[], str]) -> Any:
    """Waits for a condition that nothing announces; returns its first true value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout} s for {what if isinstance(what, str) else what()}")
        time.sleep(POLL_SECONDS)
