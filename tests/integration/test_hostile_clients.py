"""Clients that break the rules, or use them to the full: each is told or dropped, and nobody else notices."""

from __future__ import annotations

import random
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

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
    collect,
    predict_request,
    raw_tensor,
    rpc_error,
    slow_request,
)
from raw_http2 import (
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawHttp2,
    encode_call,
    encode_frame,
    encode_message,
)

MAX_MESSAGE_BYTES = 1 << 20
MAX_STREAMS = 4


def linear_request(rows: int = 1) -> Any:
    return predict_request("linear", raw_tensor("x", numpy.ones((rows, 64), numpy.float32)))


LINEAR = linear_request().SerializeToString()


@pytest.fixture(scope="module", name="running_server")
def fixture_running_server() -> Iterator[PredictdProcess]:
    flags = [f"--max-message-bytes={MAX_MESSAGE_BYTES}", "--workers=1", "--log-requests=none"]
    with PredictdProcess(["linear", "slow"], flags=flags) as server:
        server.client.predict(linear_request())
        yield server


@pytest.fixture(name="server")
def fixture_server(running_server: PredictdProcess) -> Iterator[PredictdProcess]:
    """The same server for all; after each test it must be as it was."""
    files = running_server.open_files()
    yield running_server
    check_unharmed(running_server)
    eventually(lambda: running_server.open_files() <= files + 1, 10, "connections to be closed")


def check_unharmed(server: PredictdProcess) -> None:
    server.wait_until_idle()
    health = health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    server.client.predict(linear_request(), timeout=10)
    with server.new_channel() as channel:
        Client(channel).predict(linear_request(), timeout=10)


def connect(server: PredictdProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def read_to_end(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return received
        if not more:
            return received
        received += more


# --- No HTTP/2 ---


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 4096,
        b"\xff" * 4096,
        random.Random(7).randbytes(65536),
        b"GET / HTTP/1.1\r\nHost: predictd\r\n\r\n",
        b"POST /predictd.v1.PredictionService/Predict HTTP/1.1\r\nHost: predictd\r\nContent-Length: 4\r\n\r\nabcd",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(505),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r?" + bytes(64),
    ],
    ids=["zeros", "ones", "random bytes", "HTTP/1.1 GET", "HTTP/1.1 POST", "TLS hello", "almost a preface"],
)
def test_bytes_that_are_no_http2_close_the_connection(server: PredictdProcess, garbage: bytes) -> None:
    with connect(server) as connection:
        try:
            connection.sendall(garbage)
        except ConnectionError:
            return
        read_to_end(connection)


def test_random_frames_after_a_preface_end_in_an_error_or_nothing(server: PredictdProcess) -> None:
    numbers = random.Random(11)
    for _ in range(200):
        with connect(server) as connection:
            frames = b"".join(
                encode_frame(numbers.randrange(12), numbers.randrange(256), numbers.randrange(4), payload)
                for payload in map(numbers.randbytes, numbers.choices([0, 4, 5, 8, 64, 1000], k=8))
            )
            try:
                connection.sendall(PREFACE + encode_frame(SETTINGS, 0, 0) + frames)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                continue
            read_to_end(connection)


@pytest.mark.parametrize("sent", [b"", PREFACE[:10], PREFACE, PREFACE + encode_frame(SETTINGS, 0, 0)[:5]])
def test_connections_that_say_little_and_stay_keep_nobody_else_out(server: PredictdProcess, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(server)).sendall(sent)
        with server.new_channel() as channel:
            Client(channel).predict(linear_request(), timeout=10)


def test_two_thousand_connections_opened_and_dropped_leave_nothing_behind(server: PredictdProcess) -> None:
    before = server.resident_bytes()
    for i in range(2000):
        with connect(server) as connection:
            if i % 2:
                connection.sendall(PREFACE + encode_frame(SETTINGS, 0, 0))
    server.wait_until_idle()
    # 2,000 transports that were kept would be hundreds of MiB.
    eventually(lambda: server.resident_bytes() - before < 32 * 2**20, 20, "the memory to be given back")


# --- Calls that are broken off ---


def reset_while_sending(connection: RawHttp2) -> None:
    connection.send(encode_call(1, PREDICT) + encode_message(1, LINEAR)[:100])


def reset_after_headers(connection: RawHttp2) -> None:
    connection.send(encode_call(1, PREDICT))


def reset_while_computed(connection: RawHttp2) -> None:
    connection.send(encode_call(1, PREDICT) + encode_message(1, slow_request(20).SerializeToString()))


def reset_while_streamed(connection: RawHttp2) -> None:
    stream = PredictStreamRequest(predict=slow_request(20, rows=100), chunk_rows=1)
    connection.send(encode_call(1, PREDICT_STREAM) + encode_message(1, stream.SerializeToString()))


@pytest.mark.parametrize(
    "begin", [reset_after_headers, reset_while_sending, reset_while_computed, reset_while_streamed]
)
def test_connections_reset_in_the_middle_of_a_call_free_it(
    server: PredictdProcess, begin: Callable[[RawHttp2], None]
) -> None:
    for _ in range(30):
        connection = RawHttp2(server.address)
        begin(connection)
        connection.reset()
    server.wait_until_idle()


def test_streams_reset_as_fast_as_they_are_opened_leave_nothing_behind(server: PredictdProcess) -> None:
    cancel = struct.pack(">I", 8)

    def storm() -> float:
        """900 calls, each reset in the same breath, and one that is answered; returns the MiB in use afterwards."""
        with RawHttp2(server.address) as connection:
            # Until the server has opened it, the connection's window holds a quarter of these calls.
            connection.read_until(WINDOW_UPDATE, 0)
            for first in range(1, 1800, 200):
                connection.send(
                    b"".join(
                        encode_call(i, PREDICT) + encode_message(i, LINEAR) + encode_frame(RST_STREAM, 0, i, cancel)
                        for i in range(first, first + 200, 2)
                    )
                )
            # Until then the queue may be full.
            server.wait_until_idle()
            connection.send(encode_call(1801, PREDICT) + encode_message(1801, LINEAR))
            connection.read_until(DATA, 1801)
        server.wait_until_idle()
        return server.resident_bytes() / 2**20

    # The allocator takes some more now and then, and gives it back later; a leak would grow with each eight storms.
    grown = []
    for _ in range(8):
        before = storm()
        grown.append([storm() for _ in range(8)][-1] - before)
        if grown[-1] < 2:
            return
    raise AssertionError(f"MiB in use grew by {grown}")


def test_pings_without_end_get_a_goaway(server: PredictdProcess) -> None:
    with RawHttp2(server.address) as connection:
        connection.send(b"".join(encode_frame(PING, 0, 0, struct.pack(">Q", i)) for i in range(1000)))
        assert b"too_many_pings" in connection.read_until(GOAWAY).payload


# --- Messages that are not as they should be ---


def test_a_message_above_the_limit_is_refused_and_the_connection_goes_on(server: PredictdProcess) -> None:
    too_large = linear_request(MAX_MESSAGE_BYTES // 256 + 1)
    error = rpc_error(lambda: server.client.predict(too_large))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(MAX_MESSAGE_BYTES) in error.details()
    error = rpc_error(lambda: list(server.client.predict_stream(PredictStreamRequest(predict=too_large))))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    server.client.predict(linear_request())


def test_a_message_at_the_limit_is_read(server: PredictdProcess) -> None:
    request = PredictStreamRequest(predict=linear_request(MAX_MESSAGE_BYTES // 256 - 1), chunk_rows=64)
    assert MAX_MESSAGE_BYTES - 512 < request.ByteSize() <= MAX_MESSAGE_BYTES
    assert collect(server.client.predict_stream(request))["summary"][0].rows_ok == MAX_MESSAGE_BYTES // 256 - 1


@pytest.mark.parametrize(
    ("prefix", "body"),
    [
        (struct.pack(">BI", 0, 1000), LINEAR),
        (struct.pack(">BI", 0, 0xFFFFFFFF), LINEAR),
        (struct.pack(">BI", 7, len(LINEAR)), LINEAR),
        (struct.pack(">BI", 0, len(LINEAR)), LINEAR[:-10]),
        (struct.pack(">BI", 0, len(LINEAR))[:3], b""),
        (b"", b""),
    ],
    ids=["longer than sent", "4 GiB", "unknown flag", "cut off", "cut in its prefix", "none"],
)
def test_a_malformed_message_ends_its_call(server: PredictdProcess, prefix: bytes, body: bytes) -> None:
    server.wait_until_idle()
    before = server.resident_bytes()
    answered = server.metric("predictd_requests_total", method="Predict", code="OK")
    with RawHttp2(server.address) as connection:
        connection.send(encode_call(1, PREDICT) + encode_frame(DATA, END_STREAM, 1, prefix + body))
        frame = connection.read_until(HEADERS, 1)
        # The headers of an answer do not end the stream, those of an error do.
        assert frame.flags & END_STREAM
    server.wait_until_idle()
    assert server.metric("predictd_requests_total", method="Predict", code="OK") == answered
    assert server.resident_bytes() - before < 16 * 2**20


def test_compressed_messages_are_refused_before_they_are_inflated(server: PredictdProcess) -> None:
    """gRPC inflates without a bound: what is a kilobyte on the wire may be a megabyte in memory."""
    for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(server.address, options=options, compression=algorithm) as channel:
            error = rpc_error(partial(Client(channel).predict, linear_request()))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert "ompression algorithm" in error.details()


def test_compressed_zeros_takes_no_memory(server: PredictdProcess) -> None:
    """What says that it is compressed in a call that does not is read as it is."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = deflate.compress(bytes(16 << 20)) + deflate.flush()
    before = server.resident_bytes()
    for encoding in ({"grpc-encoding": "gzip"}, {}):
        with RawHttp2(server.address) as connection:
            connection.send(encode_call(1, PREDICT, encoding))
            body = struct.pack(">BI", 1, len(bomb)) + bomb
            for start in range(0, len(body), 16384):
                flags = END_STREAM if start + 16384 >= len(body) else 0
                connection.send(encode_frame(DATA, flags, 1, body[start : start + 16384]))
            answer = connection.read_until(HEADERS, 1)
            assert b"grpc-status" in answer.payload
    assert server.resident_bytes() - before < 8 * 2**20


@pytest.mark.parametrize(("kib", "refused"), [(4, False), (20, True), (300, True)])
def test_metadata_above_16_kib_is_refused(server: PredictdProcess, kib: int, refused: bool) -> None:
    def call(channel: grpc.Channel) -> object:
        return Client(channel).predict(linear_request(), metadata=[("x-large", "v" * kib * 1024)])

    with server.new_channel() as channel:
        if not refused:
            call(channel)
            return
        error = rpc_error(lambda: call(channel))
        # gRPC ends the stream, or the connection if it is too much.
        assert error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)


# --- Limits ---


def test_calls_beyond_the_limit_of_a_connection_wait_for_their_turn() -> None:
    with (
        PredictdProcess(["slow"], flags=[f"--max-concurrent-streams={MAX_STREAMS}"]) as server,
        server.new_channel() as channel,
    ):
        client = Client(channel)
        calls = [client.predict_future(slow_request(30)) for _ in range(4 * MAX_STREAMS)]
        most = 0.0
        while not all(call.done() for call in calls):
            most = max(most, server.metric("predictd_requests_in_flight", method="Predict"))
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}
        assert 1 < most <= MAX_STREAMS


def test_a_client_that_ignores_the_limit_of_its_connection_is_refused() -> None:
    with PredictdProcess(["slow"], flags=[f"--max-concurrent-streams={MAX_STREAMS}"]) as server:
        request = slow_request(500).SerializeToString()
        with RawHttp2(server.address) as connection:
            # Only a client that has acknowledged the limit can be held to it.
            connection.read_until(SETTINGS)
            streams = range(1, 6 * MAX_STREAMS, 2)
            connection.send(b"".join(encode_call(i, PREDICT) + encode_message(i, request) for i in streams))
            try:
                while True:
                    frame = connection.read_until(RST_STREAM, timeout=5)
                    if frame.error_code == REFUSED_STREAM:
                        break
            except EOFError:
                pass  # gRPC ends the whole connection
        assert server.metric("predictd_requests_in_flight", method="Predict") <= MAX_STREAMS
        server.wait_until_idle()
        server.client.predict(slow_request(1))
