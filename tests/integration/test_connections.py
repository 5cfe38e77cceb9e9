"""Connections: how many there may be, and what becomes of those that take the server's time or memory from others."""

from __future__ import annotations

import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from predictd_process import PredictdProcess, eventually, run_predictd
from protocol import PREDICT, Client, PredictStreamRequest, predict_request, raw_tensor
from raw_http2 import (
    DATA,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawHttp2,
    encode_call,
    encode_frame,
    encode_message,
)

PRIORITY, CONTINUATION = 0x2, 0x9
CANCEL = struct.pack(">I", 8)
LINEAR = predict_request("linear", raw_tensor("x", numpy.ones((1, 64), numpy.float32)))
# Longer than a held up loop keeps anybody waiting, on a machine that has other things to do.
PATIENCE = 2.0


def connect(server: PredictdProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def connect_unix(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    return connection


def is_served(server: PredictdProcess) -> bool:
    """Whether a new connection gets an answer."""
    with server.new_channel() as channel:
        try:
            Client(channel).predict(LINEAR, timeout=5)
        except grpc.RpcError:
            return False
    return True


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.5)
    try:
        return bool(connection.recv(1))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


@dataclass
class Bystander:
    """What somebody sees who calls the server all the time."""

    seconds: list[float] = field(default_factory=list)


@contextmanager
def bystander(server: PredictdProcess) -> Iterator[Bystander]:
    """Calls the server every 20 ms on a connection of its own; none of the calls may fail or take long."""
    seen = Bystander()
    ended = threading.Event()
    errors: list[grpc.RpcError] = []

    def call() -> None:
        with server.new_channel() as channel:
            client = Client(channel)
            while not ended.wait(0.02):
                began = time.monotonic()
                try:
                    client.predict(LINEAR, timeout=10)
                except grpc.RpcError as error:
                    errors.append(error)
                    return
                seen.seconds.append(time.monotonic() - began)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    assert not errors
    assert max(seen.seconds) < PATIENCE


# --- How many ---


def test_a_server_without_files_for_connections_says_so_and_serves_again_when_some_are_gone() -> None:
    with PredictdProcess(["linear"], flags=["--max-connections=1000"]) as server:
        server.client.predict(LINEAR)
        limit = server.open_files() + 10
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with ExitStack() as connections:
            for _ in range(40):
                connections.enter_context(connect(server))
            record = server.wait_for_log(lambda record: "connections cannot be accepted" in record["msg"])
            assert record["cause"] == "Too many open files"
            # Those that nobody has files for are told so.
            server.client.predict(LINEAR)
            health = health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        eventually(lambda: is_served(server), 10, "new connections to be served")


def test_connections_above_the_limit_are_closed_and_counted() -> None:
    with PredictdProcess(["linear"], flags=["--max-connections=5"]) as server, ExitStack() as connections:
        server.client.predict(LINEAR)
        eventually(lambda: server.metric("predictd_connections") == 1, 10, "the connection of the health watch to go")
        first = [connections.enter_context(connect(server)) for _ in range(4)]
        assert not is_open(connections.enter_context(connect(server)))
        assert server.metric("predictd_connections_refused_total", reason="max_connections") == 1
        server.client.predict(LINEAR)
        first[0].close()
        eventually(lambda: server.metric("predictd_connections") == 4, 10, "a connection to be gone")
        assert is_served(server)


def test_one_address_has_a_limit_of_its_own() -> None:
    with PredictdProcess(["linear"], flags=["--max-connections-per-peer=3"]) as server, ExitStack() as connections:
        eventually(lambda: server.metric("predictd_connections") == 0, 10, "the connection of the health watch to go")
        kept = [connections.enter_context(connect(server)) for _ in range(3)]
        assert not is_open(connections.enter_context(connect(server)))
        assert server.metric("predictd_connections_refused_total", reason="max_connections_per_peer") == 1
        other = connections.enter_context(
            socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=("127.0.0.2", 0))
        )
        other.sendall(PREFACE + encode_frame(SETTINGS, 0, 0))
        assert other.recv(1)
        del kept


def test_closed_connections_leave_nothing_behind() -> None:
    with PredictdProcess(["linear"]) as server:
        server.client.predict(LINEAR)
        eventually(lambda: server.metric("predictd_connections") == 1, 10, "the connection of the health watch to go")
        files = server.open_files()
        for i in range(500):
            with connect(server) as connection:
                if i % 2:
                    connection.sendall(PREFACE + encode_frame(SETTINGS, 0, 0))
        eventually(lambda: server.metric("predictd_connections") == 1, 10, "all of them to be gone")
        eventually(lambda: server.open_files() <= files + 2, 10, "their files to be closed")


def test_a_connection_without_calls_goes_after_its_time() -> None:
    with (
        PredictdProcess(["linear"], flags=["--connection-idle-timeout=300ms"]) as server,
        connect(server) as connection,
    ):
        connection.sendall(PREFACE + encode_frame(SETTINGS, 0, 0))
        eventually(lambda: server.metric("predictd_connections") == 0, 10, "the connection to be closed")


# --- What they do ---


def literal(name: bytes, value: bytes) -> bytes:
    """A header field, neither part longer than 126 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def begin_nothing(_: RawHttp2) -> None:
    pass


def begin_headers(connection: RawHttp2) -> None:
    connection.send(encode_frame(HEADERS, 0, 1, literal(b":method", b"POST") + literal(b":path", PREDICT.encode())))


FLOODS = {
    "headers without end": (begin_headers, encode_frame(CONTINUATION, 0, 1, literal(b"x-a", b"v" * 100) * 150)),
    "empty headers without end": (begin_headers, encode_frame(CONTINUATION, 0, 1, literal(b"a", b"") * 3000)),
    "priorities": (begin_nothing, encode_frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
    "window updates": (begin_nothing, encode_frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1")),
    "settings": (begin_nothing, encode_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_cut_off_while_others_are_served(name: str) -> None:
    begin, frame = FLOODS[name]
    with PredictdProcess(["linear"], flags=["--log-requests=none"]) as server:
        server.client.predict(LINEAR)
        before = server.resident_bytes()
        with bystander(server), RawHttp2(server.address) as flood:
            begin(flood)
            with pytest.raises(ConnectionError):
                flood.send(frame * ((256 << 20) // len(frame)))
            server.wait_for_metric("predictd_connections_closed_total", 1, reason="noise")
            server.wait_for_log(lambda record: record.get("reason") == "noise")
        # gRPC makes a hundred and more bytes of a header field of five.
        assert server.resident_bytes() - before < 100 * 2**20


def test_empty_frames_of_a_call_hold_nobody_up() -> None:
    with PredictdProcess(["linear"], flags=["--log-requests=none", "--max-message-bytes=16MiB"]) as server:
        server.client.predict(LINEAR)
        with bystander(server), RawHttp2(server.address) as flood:
            flood.send(encode_call(1, PREDICT))
            with pytest.raises(ConnectionError):
                flood.send(encode_frame(DATA, 0, 1) * ((256 << 20) // 9))


def test_half_sent_messages_have_a_limit_in_all() -> None:
    flags = ["--log-requests=none", "--request-memory=64MiB", "--max-message-bytes=16MiB"]
    with PredictdProcess(["linear"], flags=flags) as server, ExitStack() as connections:
        server.client.predict(LINEAR)
        before = server.resident_bytes()
        with bystander(server):
            for _ in range(12):
                connection = connections.enter_context(RawHttp2(server.address))
                body = encode_message(1, bytes(15 << 20))
                # Its windows are ours to ignore: the server takes what fits into them.
                try:
                    connection.send(encode_call(1, PREDICT) + body[:-1])
                except OSError:
                    continue
        assert server.resident_bytes() - before < 200 * 2**20


def read_all(connection: RawHttp2) -> None:
    try:
        while True:
            connection.read(60)
    except (OSError, EOFError):
        return


def test_a_call_that_is_reset_at_once_ends_as_cancelled_and_nobody_else_does() -> None:
    with PredictdProcess(["linear"], flags=["--log-requests=none"]) as server:
        with bystander(server) as seen, RawHttp2(server.address) as connection:
            # Without a message.
            connection.send(
                b"".join(encode_call(i, PREDICT) + encode_frame(RST_STREAM, 0, i, CANCEL) for i in range(1, 1001, 2))
            )
            server.wait_for_metric("predictd_requests_total", 500, method="Predict", code="CANCELLED")
            # The connection is as good as before.
            connection.send(encode_call(1001, PREDICT) + encode_message(1001, LINEAR.SerializeToString()))
            connection.read_until(HEADERS, 1001)
        assert server.metric("predictd_requests_total", method="Predict", code="OK") == len(seen.seconds) + 1
        assert server.metric("predictd_requests_in_flight") == 0


@pytest.mark.parametrize("loops", [1, 4])
def test_rapid_resets_are_cut_off_when_they_are_too_much(loops: int) -> None:
    def storm(server: PredictdProcess) -> None:
        with RawHttp2(server.address) as connection:
            # Whoever does not take the answers is soon not read from any more.
            threading.Thread(target=read_all, args=(connection,), daemon=True).start()
            for burst in bursts:
                connection.send(burst)

    message = LINEAR.SerializeToString()
    bursts = [
        b"".join(
            encode_call(i, PREDICT) + encode_message(i, message) + encode_frame(RST_STREAM, 0, i, CANCEL)
            for i in range(first, first + 400, 2)
        )
        for first in range(1, 400_000, 400)
    ]
    # One processor for the server and one for the storm: a server that keeps up has no reason to cut anybody off, nor
    # has one that does not get the processor.
    processors = sorted(os.sched_getaffinity(0))
    before = ["taskset", "--cpu-list", str(processors[0])]
    with PredictdProcess(["linear"], flags=["--log-requests=none", f"--loops={loops}"], before=before) as server:
        server.client.predict(LINEAR)
        os.sched_setaffinity(0, processors[-1:])
        try:
            with bystander(server), pytest.raises(ConnectionError):
                storm(server)
        finally:
            os.sched_setaffinity(0, processors)
        # On a machine that is busy otherwise, the calls that wait to be accepted are too many first.
        closed = [server.metric("predictd_connections_closed_total", reason=reason) for reason in ("resets", "streams")]
        assert sum(closed) >= 1


def test_a_large_message_is_no_flood() -> None:
    rows = numpy.ones((200_000, 64), numpy.float32)
    request = predict_request("linear", raw_tensor("x", rows)).SerializeToString()
    with PredictdProcess(["linear"], flags=["--log-requests=none"]) as server, bystander(server):
        with server.new_channel(("grpc.max_send_message_length", -1)) as channel:
            client = Client(channel)
            # In more rows than a batch may have, so that the upload is what takes the time.
            for _ in range(5):
                with pytest.raises(grpc.RpcError) as caught:
                    client.predict(request, timeout=30)
                assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        for reason in ("noise", "half_sent", "half_sent_in_all", "held_up_others", "resets"):
            assert server.metric("predictd_connections_closed_total", reason=reason) == 0


# --- Where it listens ---


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "0:8500", "127.0.0.1:99999", ":8500", "a b:1"])
def test_an_address_that_is_none_is_exit_code_2(address: str, tmp_path: Path) -> None:
    ended = run_predictd(f"--model-repository={tmp_path}", f"--listen={address}")
    assert ended.returncode == 2
    assert "--listen" in ended.stderr


def test_a_port_in_use_is_said_with_its_cause(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = [f"--listen=127.0.0.1:{port}", "--metrics-listen=127.0.0.1:0"]
        ended = run_predictd(f"--model-repository={tmp_path}", *flags)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr


def test_a_unix_socket_is_listened_on_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "predictd.sock"
    with PredictdProcess(["linear"], listen=f"unix:{path}", wait_until_serving=False):
        with grpc.insecure_channel(f"unix:{path}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            stub.Check(health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=True)
        with connect_unix(path) as connection:
            connection.sendall(PREFACE + encode_frame(SETTINGS, 0, 0))
            assert connection.recv(1)
    assert not path.exists()


# --- Age ---


def test_an_old_connection_is_told_to_go_and_no_call_is_lost() -> None:
    with PredictdProcess(["linear", "slow"], ["--max-connection-age=500ms"]) as server:
        errors: list[grpc.RpcError] = []
        calls = 0
        with server.new_channel() as channel:
            client = Client(channel)
            # It began on the first connection, and goes on while others come and go.
            stream = client.predict_stream(
                PredictStreamRequest(
                    predict=predict_request("slow", raw_tensor("x", numpy.full((30, 1), 60, numpy.float32)))
                )
            )
            assert next(stream).WhichOneof("event") == "start"
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                try:
                    client.predict(LINEAR, timeout=10)
                    calls += 1
                except grpc.RpcError as error:
                    errors.append(error)
            assert list(stream)[-1].summary.rows_ok == 30
        assert not errors
        assert calls > 20
        assert server.metric("predictd_connections_total") >= 4


def test_calls_of_an_old_connection_may_be_given_an_end() -> None:
    flags = ["--max-connection-age=300ms", "--max-connection-age-grace=200ms"]
    with PredictdProcess(["linear"], flags) as server, server.new_channel() as channel:
        started = time.monotonic()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        with pytest.raises(grpc.RpcError) as error:
            list(watch)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert 0.4 < time.monotonic() - started < 10


def test_a_request_that_is_too_large_gets_a_status_and_its_connection_lives() -> None:
    rows = numpy.ones((250_000, 64), numpy.float32)
    request = predict_request("linear", raw_tensor("x", rows)).SerializeToString()
    with PredictdProcess(["linear"], flags=["--log-requests=none", "--max-message-bytes=1MiB"]) as server:
        with bystander(server), server.new_channel(("grpc.max_send_message_length", -1)) as channel:
            client = Client(channel)
            for _ in range(5):
                # gRPC reads a request to its end, however large it is, before it refuses it.
                with pytest.raises(grpc.RpcError) as caught:
                    client.predict(request, timeout=30)
                assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                client.predict(LINEAR)
        assert server.metric("predictd_connections_closed_total", reason="half_sent") == 0
        assert server.metric("predictd_connections_closed_total", reason="noise") == 0
