"""Models that load do not disturb those that serve."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from predictd_process import TEST_MODELS, PredictdProcess, make_repository
from protocol import (
    PredictStreamRequest,
    error_details,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    state_name,
    trailer,
    unpack,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# Models are loaded in the order of their names.
READY = "a_linear"
HEAVY = [f"heavy{i}" for i in range(5)]
LAST = HEAVY[-1]
# The bound of one of the histogram's buckets: half a heartbeat.
LATE_SECONDS = 0.0512


@pytest.fixture(name="server")
def fixture_server(tmp_path: Path) -> Iterator[PredictdProcess]:
    """A server whose first model is ready while the others, 60 MB each, load."""
    repository = make_repository(tmp_path / "models", [])
    (repository / READY).symlink_to(TEST_MODELS / "linear")
    for name in HEAVY:
        (repository / name).symlink_to(TEST_MODELS / "heavy_load")
    with PredictdProcess(repository, wait_until_serving=False) as server:
        server.wait_for_health(READY)
        yield server


def ready_request() -> object:
    return predict_request(READY, raw_tensor("x", numpy.ones((1, 64), numpy.float32)))


def loading_request() -> object:
    return predict_request(LAST, float_tensor("x", [[1.0]]))


def health(server: PredictdProcess, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(server.channel).Check(request, timeout=10).status


def state(server: PredictdProcess, name: str) -> str:
    return state_name(server.client.get_model(name).model.versions[0].state)


@dataclass(frozen=True)
class Pace:
    """How the server kept up for a while: its event loops' heartbeats, and the calls of one client."""

    heartbeats: int
    late_heartbeats: int
    mean_lag_seconds: float
    calls: int
    slowest_call_seconds: float
    # How often a thread of this process that slept was late: the machine's own doing.
    late_sleeps: int


def measure_pace(server: PredictdProcess, go_on: Callable[[], bool]) -> Pace:
    """Calls the ready model again and again while `go_on` says so."""
    stop = threading.Event()
    late_sleeps = 0

    def sleep_again_and_again() -> None:
        nonlocal late_sleeps
        while not stop.is_set():
            started = time.monotonic()
            time.sleep(0.02)
            late_sleeps += time.monotonic() - started > 0.02 + LATE_SECONDS / 2

    sleeper = threading.Thread(target=sleep_again_and_again)
    before = lag(server)
    sleeper.start()
    seconds = []
    while go_on():
        started = time.monotonic()
        server.client.predict(ready_request())
        seconds.append(time.monotonic() - started)
    stop.set()
    sleeper.join()
    heartbeats, in_time, total = (new - old for new, old in zip(lag(server), before, strict=True))
    return Pace(int(heartbeats), int(heartbeats - in_time), total / heartbeats, len(seconds), max(seconds), late_sleeps)


def lag(server: PredictdProcess) -> tuple[float, float, float]:
    """Of the loops' heartbeats so far: how many, how many of them not late, and the sum of their lags in seconds."""
    name = "predictd_event_loop_lag_seconds"
    metrics = server.metrics()
    bounds = [dict(labels)["le"] for found, labels in metrics if found == f"{name}_bucket"]
    bound = min(bounds, key=lambda text: abs(float(text) - LATE_SECONDS))
    in_time = metrics[f"{name}_bucket", frozenset({("le", bound)})]
    return metrics[f"{name}_count", frozenset()], in_time, metrics[f"{name}_sum", frozenset()]


def test_two_models_loading_do_not_raise_the_loop_lag(server: PredictdProcess) -> None:
    started = time.monotonic()
    loading = measure_pace(server, lambda: health(server, LAST) != SERVING)
    until = time.monotonic() + min(2.0, time.monotonic() - started)
    control = measure_pace(server, lambda: health(server, LAST) == SERVING and time.monotonic() < until)
    print(f"while models load: {loading}\nafterwards:        {control}")

    assert loading.heartbeats >= 3, "loading was too quick to see anything"
    assert loading.calls >= 20
    # One in ten for a machine that has other things to do, and whenever it was late for us, too.
    assert loading.late_heartbeats <= loading.late_sleeps + loading.heartbeats // 10
    assert loading.mean_lag_seconds < control.mean_lag_seconds + 0.02
    assert loading.slowest_call_seconds < control.slowest_call_seconds + 0.5


def test_a_model_that_loads_says_so_while_a_ready_one_is_served(server: PredictdProcess) -> None:
    errors = [
        rpc_error(lambda: server.client.predict(loading_request())),
        rpc_error(lambda: list(server.client.predict_stream(PredictStreamRequest(predict=loading_request())))),
    ]
    assert health(server, LAST) == NOT_SERVING
    assert health(server, "") == NOT_SERVING, "not all models are loaded"
    assert health(server, READY) == SERVING
    server.client.predict(ready_request())
    assert state(server, READY) == "READY"
    assert state(server, LAST) == "LOADING", "it was loaded before the test was through: try again"

    for error in errors:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert LAST in error.details()
        assert "loading" in error.details()
        (retry,) = unpack(error_details(error), error_details_pb2.RetryInfo)
        assert retry.retry_delay.ToMilliseconds() > 0
        assert trailer(error, "grpc-retry-pushback-ms") == str(retry.retry_delay.ToMilliseconds())

    server.wait_for_health()
    server.client.predict(loading_request())
    assert state(server, LAST) == "READY"
    assert health(server, LAST) == SERVING
