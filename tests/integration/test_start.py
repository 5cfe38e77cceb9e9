"""Odd surroundings: the signals, files, descriptors and limits that the process finds when it starts."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest

from predictd_process import BINARY, TEST_MODELS, PredictdProcess, eventually, has, run_predictd, server_environment
from protocol import float_tensor, predict_request, rpc_error, slow_request

ADDRESSES = ["--listen=127.0.0.1:0", "--metrics-listen=", "--log-format=json"]
NOBODY = 65534
NOT_REGULAR = "cannot be read: it is not a regular file"


def one_row(**fields: Any) -> Any:
    return predict_request("linear", float_tensor("x", numpy.zeros((1, 64))), **fields)


class Started:
    """A predictd with its log in a file, however it is started. A context manager that ends it."""

    def __init__(self, repository: Path | str, flags: Sequence[str] = (), **how: Any) -> None:
        self._log = tempfile.NamedTemporaryFile("w+", prefix="predictd-log-")  # noqa: SIM115  # __exit__ closes it.
        command = [str(BINARY), f"--model-repository={repository}", *ADDRESSES, *flags]
        defaults: dict[str, Any] = {"stderr": self._log, "stdin": subprocess.DEVNULL, "env": server_environment({})}
        self.process: subprocess.Popen[Any] = subprocess.Popen(command, **(defaults | how))

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()

    def records(self) -> list[dict[str, Any]]:
        lines = Path(self._log.name).read_text(errors="replace").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def wait_for(self, message: str) -> dict[str, Any]:
        """The first record with that message; what else was logged is told if there is none."""

        def find() -> dict[str, Any] | None:
            return next((record for record in self.records() if record["msg"] == message), None)

        def is_over() -> bool:
            return find() is not None or self.process.poll() is not None

        eventually(is_over, 30, lambda: f"{message}; there is {self.records()}")
        found = find()
        said = Path(self._log.name).read_text(errors="replace")
        assert found is not None, f"ended with {self.process.returncode}: {said}"
        return found

    def terminate(self, within: float) -> int:
        """SIGTERM; the exit code, which must come in time."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


@pytest.fixture(name="open_folder")
def fixture_open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="predictd-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_nobody() -> Mapping[str, Any]:
    """How to start a process that file permissions and limits hold for: root ignores them."""
    if os.geteuid() != 0:
        return {}
    if not os.access(BINARY, os.X_OK) or any(not parent.stat().st_mode & 0o001 for parent in BINARY.parents):
        pytest.skip("other users cannot reach the binary")
    return {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}


# --- Signals ---


def test_signals_that_could_reload_are_ignored_with_a_line_in_the_log() -> None:
    with PredictdProcess(["linear"]) as server:
        for name in ("HUP", "USR1", "USR2"):
            server.send_signal(getattr(signal, f"SIG{name}"))
            server.wait_for_log(has("signal", name))
        server.client.predict(one_row())


def test_sigterm_ends_a_start_that_takes_long(tmp_path: Path) -> None:
    # One large file, read a thousand times, stands for a file system that is slow.
    large = tmp_path / "model.toml"
    large.write_text("x = [" + "1," * 400_000 + "]\n")
    for number in range(1000):
        folder = tmp_path / "models" / str(number)
        folder.mkdir(parents=True)
        (folder / "model.toml").hardlink_to(large)
    with Started(tmp_path / "models") as server:
        server.wait_for("reading the model repository")
        assert server.terminate(within=5) == 0
        assert server.records()[-1] | {"ts": ""} == {
            "ts": "", "level": "info", "msg": "stopped before it listened", "signal": "TERM"
        }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_the_parent_ignored_or_blocked_work(number: signal.Signals) -> None:
    def ignore() -> None:
        signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])

    with Started(TEST_MODELS / "linear", preexec_fn=ignore) as server:
        server.wait_for("listening")
        server.process.send_signal(number)
        assert server.process.wait(10) == 0


def test_a_model_that_computes_on_does_not_hold_up_the_end() -> None:
    with PredictdProcess(["slow"], ["--drain-grace=100ms"]) as server:
        call = server.client.predict_future(slow_request(30_000), timeout=60)
        server.wait_for_metric("predictd_requests_running", 1, model="slow")
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 8
        assert call.exception() is not None
        assert any(record["msg"].startswith("stopped without waiting") for record in server.log_records())


# --- Files ---


def test_what_is_no_regular_file_fails_its_model_and_nothing_else(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    (repository / "good").symlink_to(TEST_MODELS / "linear")
    (repository / "pipe").mkdir()
    os.mkfifo(repository / "pipe" / "model.toml")
    (repository / "device").mkdir()
    (repository / "device" / "model.toml").symlink_to("/dev/zero")
    (repository / "piped" / "1").mkdir(parents=True)
    (repository / "piped" / "model.toml").write_bytes((TEST_MODELS / "linear" / "model.toml").read_bytes())
    os.mkfifo(repository / "piped" / "1" / "model.pt")
    (repository / "large").mkdir()
    with (repository / "large" / "model.toml").open("wb") as large:
        large.truncate(10_000_000_000)
    (repository / "gone").symlink_to(tmp_path / "nowhere")
    with PredictdProcess(repository) as server:
        causes = {
            record["model"]: record["cause"]
            for record in server.log_records()
            if record["msg"] in ("model has no valid configuration", "model could not be loaded")
        }
        assert server.client.list_models().models
    assert causes == {
        "pipe": f"model.toml: {NOT_REGULAR}",
        "device": f"model.toml: {NOT_REGULAR}",
        "piped": f"version 1: model.pt: {NOT_REGULAR}",
        "large": "model.toml: cannot be read: it has more than the 1048576 bytes that are allowed",
        "gone": "gone: cannot be read: No such file or directory",
    }


def test_a_pipe_is_not_waited_for_as_a_file_of_options(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = run_predictd("--model-repository=models", f"--config={tmp_path}/pipe")
    assert result.returncode == 2
    assert result.stderr.startswith(f"--config: {tmp_path}/pipe: {NOT_REGULAR}")
    result = run_predictd(
        f"--model-repository={TEST_MODELS}", *ADDRESSES, "--trace-exporter=file", f"--trace-file={tmp_path}/pipe"
    )
    assert result.returncode == 1
    assert "is not a regular file" in result.stderr
    os.mkfifo(tmp_path / "port.tmp")
    with Started(TEST_MODELS / "linear", [f"--port-file={tmp_path}/port"]) as server:
        server.wait_for("listening")
        assert server.terminate(within=10) == 0


def test_what_may_not_be_read_is_a_failed_model(open_folder: Path) -> None:
    how = as_nobody()
    repository = open_folder / "models"
    for name in ("closed", "config", "version", "lost+found"):
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "model.toml").write_bytes((TEST_MODELS / "linear" / "model.toml").read_bytes())
    (repository / "config" / "model.toml").chmod(0)
    for closed in (repository / "closed", repository / "version" / "1", repository / "lost+found"):
        closed.chmod(0)
    try:
        with Started(repository, **how) as server:
            server.wait_for("listening")
            causes = {record["model"]: record["cause"] for record in server.records() if "cause" in record}
    finally:
        for closed in (repository / "closed", repository / "version" / "1", repository / "lost+found"):
            closed.chmod(0o755)
    assert causes == {
        "closed": "closed: cannot be read: Permission denied",
        "config": "model.toml: cannot be read: Permission denied",
        "version": "version 1: model.pt: cannot be read: Permission denied",
    }


def test_a_limit_of_file_sizes_costs_spans_and_not_the_process(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    port = tmp_path / "port"
    flags = [f"--port-file={port}", "--trace-exporter=file", f"--trace-file={tmp_path}/spans", "--trace-sample-ratio=1"]
    repository = tmp_path / "models"
    repository.mkdir()
    (repository / "linear").symlink_to(TEST_MODELS / "linear")
    with Started(repository, flags, preexec_fn=limit, stderr=subprocess.PIPE) as server:
        eventually(lambda: port.exists() or server.process.poll() is not None, 30, "the port")
        with grpc.insecure_channel(f"127.0.0.1:{int(port.read_text())}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", lambda _: b"", lambda body: body)
            for _ in range(100):
                check(None, timeout=10)
        assert server.terminate(within=15) == 0


# --- Descriptors, limits, folders ---


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_closed_descriptors_are_not_given_to_others(closed: list[int], tmp_path: Path) -> None:
    def close() -> None:
        for fd in closed:
            os.close(fd)

    port = tmp_path / "port"
    flags = [f"--port-file={port}", "--trace-exporter=file", f"--trace-file={tmp_path}/spans"]
    with Started(TEST_MODELS / "linear", flags, preexec_fn=close) as server:
        eventually(lambda: port.exists() or server.process.poll() is not None, 30, "the port")
        for fd in closed:
            assert Path(f"/proc/{server.process.pid}/fd/{fd}").readlink() == Path("/dev/null")
        assert server.terminate(within=10) == 0
    assert (tmp_path / "spans").read_text() == ""


def test_too_few_threads_are_a_clear_error(open_folder: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (10, 10))

    how = as_nobody()
    if not how:
        pytest.skip("the limit counts all processes of the user: only root can start one as another")
    (open_folder / "models").mkdir()
    user = {key: how[key] for key in ("user", "group", "extra_groups", "cwd")}
    with Started(open_folder / "models", **user, preexec_fn=limit) as server:
        assert server.process.wait(20) == 1
        cause = server.records()[-1]["cause"]
        assert server.records()[-1]["msg"] == "cannot start"
        assert "threads are needed" in cause
        assert "Resource temporarily unavailable" in cause


def test_a_removed_working_directory_is_left(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    def remove() -> None:
        gone.rmdir()

    with Started(TEST_MODELS / "linear", cwd=gone, preexec_fn=remove) as server:
        server.wait_for("the working directory has been removed: working in /")
        server.wait_for("listening")
        assert server.terminate(within=10) == 0
    gone.mkdir()
    with Started("models", cwd=gone, preexec_fn=remove) as server:
        assert server.process.wait(20) == 1
        assert server.records()[-1]["cause"].startswith(
            "--model-repository: 'models' is relative to the working directory"
        )


# --- What callers could fill ---


def test_failures_of_one_kind_are_counted_after_the_first() -> None:
    with PredictdProcess(["linear", "faulty"]) as server:
        before = len(server.log_lines())
        for _ in range(500):
            rpc_error(lambda: server.client.predict(one_row(outputs=["z" * 200])))
        negative = predict_request("faulty", float_tensor("x", [[-1]]))
        details = str(rpc_error(lambda: server.client.predict(negative)).details())
        server.wait_until_idle()
        dropped = server.metric("predictd_log_lines_dropped_total", reason="held_back")
        assert server.stop() == 0
    records = server.log_records()[before:]
    told = [record for record in records if record["msg"] == "request" and record["code"] == "INVALID_ARGUMENT"]
    counts = [record["count"] for record in records if record["msg"].startswith("more requests failed")]
    assert 10 <= len(told) < 250
    assert len(told) + sum(counts) == 500
    assert sum(counts) == dropped
    # The failure of another model has its line whatever the flood.
    assert any(
        record["level"] == "error" and record["error_id"] in details for record in records if "error_id" in record
    )


def test_half_requests_do_not_keep_a_scraper_waiting() -> None:
    with PredictdProcess(["linear"]) as server, ExitStack() as stack:
        port = int(server.metrics_url().rsplit(":", 1)[1].split("/")[0])
        for number in range(600):
            half = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
            half.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"y" * (number % 3 * 10_000))
        started = time.monotonic()
        with urllib.request.urlopen(server.metrics_url(), timeout=10) as answer:
            assert b"predictd_requests_in_flight" in answer.read()
        assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("address", "cause"),
    [("192.0.2.1:0", "Cannot assign requested address"), ("127.0.0.1:{taken}", "Address already in use")],
)
def test_the_true_cause_is_told_when_metrics_cannot_be_served(address: str, cause: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = address.format(taken=taken.getsockname()[1])
        result = run_predictd(
            f"--model-repository={TEST_MODELS}",
            "--listen=127.0.0.1:0",
            f"--metrics-listen={address}",
            "--log-format=json",
        )
    assert result.returncode == 1
    record = json.loads(result.stderr.splitlines()[-1])
    assert record["cause"] == f"metrics address {address} cannot be listened on: {cause}"
