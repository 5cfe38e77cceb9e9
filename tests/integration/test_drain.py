"""SIGTERM: what was accepted is answered, and what hangs does not hold the process up. SIGKILL: one can start again."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from load_process import LoadProcess
from predictd_process import BINARY, TEST_MODELS, PredictdProcess, eventually, make_repository, server_environment
from protocol import (
    Client,
    PredictStreamRequest,
    error_details,
    predict_request,
    raw_tensor,
    rpc_error,
    slow_request,
    trailer,
    unpack,
)
from raw_http2 import PREFACE

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# On a machine that is busy, what should be done at once may take this long.
AT_ONCE = 5


def linear_request() -> object:
    return predict_request("linear", raw_tensor("x", numpy.ones((1, 64), numpy.float32)))


def terminate(server: PredictdProcess) -> tuple[int, float]:
    """SIGTERM: the exit code, and how long it took."""
    started = time.monotonic()
    server.send_signal(signal.SIGTERM)
    return server.wait(), time.monotonic() - started


def check_is_advised_to_retry(error: grpc.RpcError) -> None:
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    (retry,) = unpack(error_details(error), error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() > 0
    assert int(trailer(error, "grpc-retry-pushback-ms") or -1) > 0


# --- What was accepted is answered ---


def test_sigterm_under_load_loses_no_accepted_call() -> None:
    with PredictdProcess(["linear", "slow"], flags=["--log-requests=all"]) as server, ExitStack() as stack:
        loads = [stack.enter_context(LoadProcess(server.address)) for _ in range(3)]
        server.wait_for_log(lambda record: record.get("method") == "PredictStream")
        exit_code, _ = terminate(server)
        seen = sum((load.result() for load in loads), Counter())
        print(f"what the clients saw: {dict(seen)}")

        assert exit_code == 0
        server.check_no_call_was_lost()
        records = server.log_records()
        assert records[-1]["msg"] == "stopped"
        (draining,) = [record for record in records if record["msg"] == "draining"]
        assert draining["in_flight"] > 0, "there was no load"

        answered = Counter(
            f"{record['method']} {record['code']}"
            for record in records
            if record["msg"] == "request" and record["method"] in ("Predict", "PredictStream")
        )
        refused = {"Predict UNAVAILABLE", "PredictStream UNAVAILABLE"}
        assert set(answered) - refused == {"Predict OK", "PredictStream OK"}, "an accepted call was not completed"
        # What was answered has arrived, every single one.
        assert {outcome: seen[outcome] for outcome in answered if outcome not in refused} == {
            outcome: count for outcome, count in answered.items() if outcome not in refused
        }
        # What comes when the door is closing may be tried elsewhere, and says so.
        assert {outcome.split()[1] for outcome in seen} <= {"OK", "UNAVAILABLE"}
        for record in records:
            if record.get("code") == "UNAVAILABLE":
                assert record["message"] == "the server shuts down"


def test_health_says_not_serving_before_calls_are_refused() -> None:
    with PredictdProcess(["linear"], flags=["--drain-delay=2s"]) as server, server.new_channel() as channel:
        statuses: list[int] = []
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())

        def follow() -> None:
            try:
                statuses.extend(update.status for update in watch)
            except grpc.RpcError:
                statuses.append(-1)

        follower = threading.Thread(target=follow)
        follower.start()
        eventually(lambda: statuses == [SERVING], 10, "the first status")
        server.send_signal(signal.SIGTERM)
        eventually(lambda: statuses == [SERVING, NOT_SERVING], AT_ONCE, "NOT_SERVING")
        server.client.predict(linear_request())
        with server.new_channel() as late:
            Client(late).predict(linear_request())
        assert statuses == [SERVING, NOT_SERVING], "the server was through with its delay before the calls: try again"

        assert server.wait() == 0
        follower.join()
        assert statuses == [SERVING, NOT_SERVING, -1]
        assert watch.code() == grpc.StatusCode.UNAVAILABLE
        assert rpc_error(lambda: server.client.predict(linear_request())).code() == grpc.StatusCode.UNAVAILABLE


# --- What hangs does not hold the process up ---


def test_work_beyond_the_grace_period_ends_unavailable_at_once() -> None:
    flags = ["--workers=1", "--drain-grace=300ms"]
    with PredictdProcess(["slow"], flags=flags) as server, server.new_channel() as channel:
        client = Client(channel)
        calls = [client.predict_future(slow_request(3000), timeout=None)]
        server.wait_for_metric("predictd_requests_running", 1)
        calls.append(client.predict_future(slow_request(1), timeout=None))
        stream = PredictStreamRequest(predict=slow_request(10, rows=1000), chunk_rows=1)
        calls.append(client.predict_stream(stream, timeout=None))
        server.wait_for_metric("predictd_requests_in_flight", 3)

        started = time.monotonic()
        server.send_signal(signal.SIGTERM)
        # The streaming call raises when it is iterated, the others when asked for their result.
        ends: list[Callable[[], Any]] = [calls[0].result, calls[1].result, partial(list, calls[2])]
        for end in ends:
            check_is_advised_to_retry(rpc_error(end))
        ended = time.monotonic() - started
        # All of them at the end of the grace period, and not of the step that runs.
        assert 0.3 <= ended < 2.5
        assert server.wait() == 0
        server.check_no_call_was_lost()


def test_a_second_sigterm_exits_at_once() -> None:
    with PredictdProcess(["slow"]) as server, server.new_channel() as channel:
        call = Client(channel).predict_future(slow_request(20_000), timeout=None)
        server.wait_for_metric("predictd_requests_running", 1)
        server.send_signal(signal.SIGTERM)
        server.wait_for_log(lambda record: record["msg"] == "draining")
        exit_code, seconds = terminate(server)
        assert exit_code == 128 + signal.SIGTERM
        assert seconds < AT_ONCE
        assert rpc_error(call.result).code() == grpc.StatusCode.UNAVAILABLE


def test_connections_that_do_nothing_do_not_delay_the_drain() -> None:
    with PredictdProcess(["linear"]) as server, ExitStack() as stack:
        idle = stack.enter_context(server.new_channel(("grpc.keepalive_time_ms", 10_000)))
        Client(idle).predict(linear_request())
        host, port = server.address.split(":")
        stack.enter_context(socket.create_connection((host, int(port))))
        half_open = stack.enter_context(socket.create_connection((host, int(port))))
        half_open.sendall(PREFACE[:-4])
        exit_code, seconds = terminate(server)
        assert exit_code == 0
        assert seconds < AT_ONCE


def test_open_watches_and_reflection_streams_do_not_delay_the_drain() -> None:
    with PredictdProcess(["linear"]) as server, server.new_channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        finished = threading.Event()

        def questions() -> object:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            finished.wait(60)

        reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(questions())
        assert next(reflection).list_services_response.service
        exit_code, seconds = terminate(server)
        finished.set()
        assert exit_code == 0
        assert seconds < AT_ONCE
        server.check_no_call_was_lost()


def test_a_stalled_reader_does_not_delay_the_drain_beyond_the_grace_period() -> None:
    flags = ["--drain-grace=300ms", "--stream-stall-timeout=60s"]
    with PredictdProcess(["linear"], flags=flags) as server, server.new_channel(("grpc.http2.bdp_probe", 0)) as channel:
        rows = numpy.ones((64 * 256, 64), numpy.float32)
        stream = Client(channel).predict_stream(
            PredictStreamRequest(predict=predict_request("linear", raw_tensor("x", rows))), timeout=None
        )
        server.wait_for_metric("predictd_requests_in_flight", 1, method="PredictStream")
        next(stream)
        exit_code, seconds = terminate(server)
        assert exit_code == 0
        assert seconds < AT_ONCE
        server.check_no_call_was_lost()


def test_sigterm_while_models_load_stops_after_the_one_that_loads(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "models", [])
    for i in range(6):
        (repository / f"heavy{i}").symlink_to(TEST_MODELS / "heavy_load")
    with PredictdProcess(repository, wait_until_serving=False) as server:
        exit_code, seconds = terminate(server)
        assert exit_code == 0
        ready = [record for record in server.log_records() if record["msg"] == "model ready"]
        assert len(ready) < 6, "all models were loaded before the signal: try again"
        assert len(ready) <= 2
        assert seconds < 2 * AT_ONCE
        server.check_no_call_was_lost()


# --- SIGKILL ---


def test_after_kill_9_a_server_starts_at_once_on_the_same_port(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with PredictdProcess(["linear"]) as server, server.new_channel() as channel:
        client = Client(channel)
        client.predict(linear_request())
        server.kill()
        command = [
            str(BINARY),
            f"--model-repository={server.repository}",
            f"--listen={server.address}",
            f"--port-file={port_file}",
            "--metrics-listen=127.0.0.1:0",
        ]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=server_environment({})) as successor:
            try:
                eventually(lambda: port_file.exists() or successor.poll() is not None, 30, "the port file")
                assert successor.poll() is None, "the port was not free"
                assert int(port_file.read_text()) == server.port

                def answered() -> bool:
                    """A channel that was connected finds the new server; one that loads says UNAVAILABLE."""
                    code = grpc.StatusCode.OK
                    try:
                        client.predict(linear_request(), timeout=5)
                    except grpc.RpcError as error:
                        code = error.code()
                    assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
                    return code == grpc.StatusCode.OK

                eventually(answered, 30, "an answer")
            finally:
                successor.terminate()
            assert successor.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_an_idle_server_ends_it_at_once(number: signal.Signals) -> None:
    with PredictdProcess(["linear"]) as server:
        started = time.monotonic()
        server.send_signal(number)
        assert server.wait() == 0
        assert time.monotonic() - started < AT_ONCE
