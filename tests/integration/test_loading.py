"""Models that load do not disturb those that serve."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from predictd_process import TEST_MODELS, Metrics, PredictdProcess, make_repository
from protocol import Client, error_details, float_tensor, predict_request, raw_tensor, rpc_error, state_name, trailer, unpack

# The bound of a bucket of the histogram.
LAG_BOUND = 0.0512
HEAVY = [f"heavy{i}" for i in range(5)]


def linear_request() -> object:
    return predict_request("linear", raw_tensor("x", numpy.ones((1, 64), numpy.float32)))


def heavy_request(name: str) -> object:
    return predict_request(name, float_tensor("x", [[1.0]]))


@pytest.fixture(name="repository")
def fixture_repository(tmp_path: Path) -> Path:
    """`a_linear`, which is loaded first, as names decide, and models whose loading takes a while."""
    repository = make_repository(tmp_path / "models", [])
    (repository / "a_linear").symlink_to(TEST_MODELS / "linear")
    for name in HEAVY:
        (repository / name).symlink_to(TEST_MODELS / "heavy_load")
    return repository


@pytest.fixture(name="server")
def fixture_server(repository: Path) -> Iterator[PredictdProcess]:
    """A server whose first model is ready while the others load."""
    with PredictdProcess(repository, wait_until_serving=False) as server:
        server.wait_for_health("a_linear")
        yield server


def a_linear_request() -> object:
    return predict_request("a_linear", raw_tensor("x", numpy.ones((1, 64), numpy.float32)))


def state(server: PredictdProcess, name: str) -> str:
    return state_name(server.client.get_model(name).model.versions[0].state)


def health(server: PredictdProcess, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(server.channel).Check(request, timeout=10).status


def late_beats(before: Metrics, after: Metrics) -> tuple[int, int]:
    """Between two scrapes: how many of the loops' heartbeats there were, and how many were later than the bound."""

    def count(metrics: Metrics, name: str, **labels: str) -> float:
        return metrics[f"predictd_event_loop_lag_seconds_{name}", frozenset(labels.items())]

    bounds = {dict(labels)["le"] for name, labels in before if name == "predictd_event_loop_lag_seconds_bucket"}
    (bound,) = [text for text in bounds if text != "+Inf" and abs(float(text) - LAG_BOUND) < 1e-9]
    beats = count(after, "count") - count(before, "count")
    in_time = count(after, "bucket", le=bound) - count(before, "bucket", le=bound)
    return int(beats), int(beats - in_time)


class Overshoot(threading.Thread):
    """Sleeps again and again for the loops' heartbeat, and counts how often the machine itself was late for it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._stop_requested = threading.Event()
        self.late = 0

    def run(self) -> None:
        while not self._stop_requested.is_set():
            started = time.monotonic()
            time.sleep(0.02)
            self.late += time.monotonic() - started > 0.02 + LAG_BOUND / 2

    def stop(self) -> int:
        self._stop_requested.set()
        self.join()
        return self.late


def test_two_models_loading_do_not_raise_the_loop_lag(server: PredictdProcess) -> None:
    overshoot = Overshoot()
    before = server.metrics()
    overshoot.start()
    slowest = 0.0
    answered = 0
    client = server.client
    while health(server, HEAVY[-1]) != health_pb2.HealthCheckResponse.SERVING:
        started = time.monotonic()
        client.predict(a_linear_request())
        slowest = max(slowest, time.monotonic() - started)
        answered += 1
    late_by_itself = overshoot.stop()
    beats, late = late_beats(before, server.metrics())
    print(f"{answered} answers, the slowest after {slowest * 1000:.1f} ms; {late} of {beats} heartbeats were late; ")
    print(f"the machine was late {late_by_itself} times by itself")
    assert sum(1 for record in server.log_records() if record["msg"] == "model ready") == 1 + len(HEAVY)
    assert beats >= 3, "loading was too quick to see anything"
    assert answered >= 20
    # Each time that the machine was late for us, it may have been for the server.
    assert late <= late_by_itself
    assert slowest < 1


def test_a_model_that_loads_says_so_and_a_ready_one_is_served(server: PredictdProcess) -> None:
    last = HEAVY[-1]
    assert health(server, "") == health(server, last) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert state(server, last) == "LOADING"
    error = rpc_error(lambda: server.client.predict(heavy_request(last)))
    stream_error = rpc_error(lambda: list(server.client.predict_stream(b"")))
    server.client.predict(a_linear_request())
    assert health(server, "a_linear") == health_pb2.HealthCheckResponse.SERVING
    assert state(server, last) == "LOADING", "it was loaded before the test was through: try again"

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert last in error.details() and "loading" in error.details()
    (retry,) = unpack(error_details(error), error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() > 0
    assert trailer(error, "grpc-retry-pushback-ms") == str(retry.retry_delay.ToMilliseconds())
    assert stream_error.code() == grpc.StatusCode.INVALID_ARGUMENT

    server.wait_for_health()
    server.client.predict(heavy_request(last))
    assert state(server, last) == "READY"
