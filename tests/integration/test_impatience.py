"""The server waits for nobody for ever: requests that do not arrive, answers that nobody takes, memory that is full."""

from __future__ import annotations

import re
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import grpc
import numpy
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from predictd_process import PredictdProcess, eventually
from protocol import (
    PREDICT,
    PREDICT_STREAM,
    Client,
    PredictStreamRequest,
    predict_request,
    raw_tensor,
    rpc_error,
)
from raw_http2 import (
    DATA,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    RawHttp2,
    encode_call,
    encode_frame,
    encode_message,
)

LINEAR = predict_request("linear", raw_tensor("x", numpy.ones((1, 64), numpy.float32))).SerializeToString()
STREAM = PredictStreamRequest(predict=predict_request("linear", raw_tensor("x", numpy.ones((2, 64), numpy.float32))))
DEADLINE_EXCEEDED = 4


@pytest.fixture(scope="module", name="server")
def fixture_server() -> Iterator[PredictdProcess]:
    flags = [
        "--receive-timeout=500ms",
        "--stream-stall-timeout=500ms",
        "--request-memory=4MiB",
        "--max-endless-calls=8",
    ]
    with PredictdProcess(["linear"], flags=flags) as server:
        yield server


def begin_message(stream: int, size: int, sent: int) -> bytes:
    """The first `sent` bytes of a message that says it has `size`."""
    body = (struct.pack(">BI", 0, size) + LINEAR + bytes(size))[: 5 + sent]
    return b"".join(encode_frame(DATA, 0, stream, body[start : start + 16384]) for start in range(0, len(body), 16384))


def read_status(connection: RawHttp2, stream: int, timeout: float = 5) -> int:
    """The grpc-status of a call that ends without an answer."""
    payload = connection.read_until(HEADERS, stream, timeout).payload
    found = re.search(rb"grpc-status[\x01\x02](\d+)", payload)
    assert found, payload
    return int(found[1])


@pytest.mark.parametrize("sent", [None, 100, 40_000])
def test_a_request_that_does_not_arrive_ends_in_time(server: PredictdProcess, sent: int | None) -> None:
    with RawHttp2(server.address) as connection:
        connection.send(encode_call(1, PREDICT))
        if sent is not None:
            connection.send(begin_message(1, 50_000, sent))
        server.wait_for_metric("predictd_requests_in_flight", 1, method="Predict")
        assert read_status(connection, 1) == DEADLINE_EXCEEDED
        server.wait_until_idle()


def test_the_deadline_of_a_call_counts_while_its_request_arrives(server: PredictdProcess) -> None:
    started = time.monotonic()
    with RawHttp2(server.address) as connection:
        connection.send(encode_call(1, PREDICT, {"grpc-timeout": "100m"}) + begin_message(1, 1000, 10))
        assert read_status(connection, 1) == DEADLINE_EXCEEDED
        assert time.monotonic() - started < 0.4
        server.wait_until_idle()


@pytest.mark.parametrize("path", [PREDICT, PREDICT_STREAM])
def test_an_answer_that_nobody_takes_is_given_up(server: PredictdProcess, path: str) -> None:
    body = LINEAR if path == PREDICT else STREAM.SerializeToString()
    with RawHttp2(server.address, {INITIAL_WINDOW_SIZE: 0}) as connection:
        connection.send(encode_call(1, path) + encode_message(1, body))
        connection.read_until(HEADERS, 1)
        server.wait_until_idle(timeout=3)
    code = {"method": path.rsplit("/", 1)[1], "code": "RESOURCE_EXHAUSTED"}
    assert server.metric("predictd_requests_total", **code) >= 1


def test_a_call_without_a_request_is_the_callers_fault(server: PredictdProcess) -> None:
    with RawHttp2(server.address) as connection:
        connection.send(encode_call(1, PREDICT) + encode_frame(DATA, END_STREAM, 1))
        assert read_status(connection, 1) == 3


def test_requests_beyond_the_memory_for_them_are_refused_and_nobody_else_is(server: PredictdProcess) -> None:
    rows = numpy.ones((4096, 64), numpy.float32)  # 1 MiB of the 4 that there are
    request = PredictStreamRequest(predict=predict_request("linear", raw_tensor("x", rows)))
    with ExitStack() as stack:
        # Windows that do not grow, and readers that do not read: each call stays until it is given up.
        channels = [stack.enter_context(server.new_channel(("grpc.http2.bdp_probe", 0))) for _ in range(6)]
        streams = [Client(channel).predict_stream(request) for channel in channels]
        assert server.client.predict(LINEAR)
        eventually(lambda: server.metric("predictd_requests_in_flight", method="PredictStream") == 0, 10, "the end")
        reasons = [rpc_error(partial(list, stream)).details() for stream in streams]
    refused = [reason for reason in reasons if "hold" in reason]
    assert 2 < len(refused) < 6, reasons
    server.wait_until_idle()
    assert server.client.predict(LINEAR)


def test_one_connection_cannot_take_all_of_the_memory_and_health_is_always_answered(server: PredictdProcess) -> None:
    with RawHttp2(server.address) as connection, server.new_channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        health.Check(health_pb2.HealthCheckRequest())
        # Headers alone: each call takes 16 KiB of the 4 MiB until its request is given up.
        connection.send(b"".join(encode_call(2 * i + 1, PREDICT) for i in range(400)))
        refused = {"method": "Predict", "code": "RESOURCE_EXHAUSTED"}
        eventually(lambda: server.metric("predictd_requests_total", **refused) > 150, 3, "refusals")
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        assert Client(channel).predict(LINEAR)
    server.wait_until_idle()


def test_more_calls_than_a_connection_may_have_are_refused_without_its_consent() -> None:
    """gRPC's own limit binds only those who acknowledge the server's settings."""
    flags = ["--max-concurrent-streams=50", "--receive-timeout=5s"]
    with PredictdProcess(["linear"], flags=flags) as server, RawHttp2(server.address) as connection:
        connection.send(b"".join(encode_call(2 * i + 1, PREDICT) for i in range(90)))
        eventually(lambda: server.metric("predictd_requests_total", method="Predict") >= 40, 5, "refusals")
        assert server.metric("predictd_requests_in_flight", method="Predict") <= 50
        assert server.client.predict(LINEAR)


def test_a_small_method_takes_small_requests_only(server: PredictdProcess) -> None:
    with server.new_channel() as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert rpc_error(lambda: check(bytes(100_000))).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        reflect = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        error = rpc_error(lambda: list(reflect(iter([bytes(100_000)]))))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_calls_of_unknown_methods_are_counted(server: PredictdProcess) -> None:
    with server.new_channel() as channel:
        for path in ("/predictd.v1.PredictionService/Prophesy", "/nobody/knows", "/"):
            error = rpc_error(partial(channel.unary_unary(path), b""))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert path in error.details()
    assert server.metric("predictd_requests_total", method="unknown", code="UNIMPLEMENTED") == 3


def test_health_watches_are_bounded_and_a_place_is_free_again_at_once(server: PredictdProcess) -> None:
    with server.new_channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch
        watches = [watch(health_pb2.HealthCheckRequest()) for _ in range(8)]
        for one in watches:
            assert next(one).status == health_pb2.HealthCheckResponse.SERVING
        error = rpc_error(lambda: next(watch(health_pb2.HealthCheckRequest())))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        watches.pop().cancel()
        eventually(lambda: server.metric("predictd_requests_in_flight", method="Watch") == 7, 3, "a place")
        another = watch(health_pb2.HealthCheckRequest())
        assert next(another).status == health_pb2.HealthCheckResponse.SERVING
        for one in (*watches, another):
            one.cancel()
    server.wait_until_idle()


def test_a_pause_of_the_process_is_not_blamed_on_readers(server: PredictdProcess) -> None:
    """Frozen for longer than the stall time-out while an answer waits for its reader, and one for its request."""
    with RawHttp2(server.address, {INITIAL_WINDOW_SIZE: 0}) as connection:
        connection.send(encode_call(1, PREDICT) + encode_message(1, LINEAR))
        connection.read_until(HEADERS, 1)
        server.send_signal(signal.SIGSTOP)
        time.sleep(1)
        server.send_signal(signal.SIGCONT)
        time.sleep(0.2)
        assert server.metric("predictd_requests_in_flight", method="Predict") == 1
        connection.send(encode_frame(8, 0, 1, struct.pack(">I", 1 << 20)))
        assert connection.read_until(DATA, 1).payload
    server.wait_until_idle()


def test_calls_that_come_while_the_server_drains_are_told_to_go_elsewhere() -> None:
    with PredictdProcess(["linear"], flags=["--drain-grace=5s"]) as server, server.new_channel() as channel:
        client = Client(channel)
        client.predict(LINEAR)
        server.send_signal(signal.SIGTERM)
        codes = set()
        while True:
            try:
                client.predict(LINEAR, timeout=5)
            except grpc.RpcError as error:
                codes.add(error.code())
                break
        assert codes == {grpc.StatusCode.UNAVAILABLE}
        assert server.wait() == 0
