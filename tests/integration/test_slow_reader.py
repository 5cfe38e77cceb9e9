"""Whoever reads slowly, or not at all, holds up its own stream and nothing else."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import numpy
import pytest

from client_process import ClientProcess
from predictd_process import PredictdProcess, eventually
from protocol import PREDICT_STREAM, Client, PredictStreamRequest, predict_request, raw_tensor
from raw_http2 import HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM, RawHttp2, encode_call, encode_message

ROW_BYTES = 64 * 4
CHUNK_ROWS = 64
CHUNKS = 512
STREAMS = 4
# The server's window of chunks, two that its reader has taken, and what the HTTP/2 windows of the connection hold.
MOST_CHUNKS_OF_A_STALLED_STREAM = 24
# A window that does not grow with what the network could carry.
FIXED_WINDOW = ("grpc.http2.bdp_probe", 0)
STALL_SECONDS = 1.0


def one_row() -> object:
    return predict_request("linear", raw_tensor("x", numpy.ones((1, 64), numpy.float32)))


def long_stream(chunks: int = CHUNKS) -> PredictStreamRequest:
    """Chunks of 16 KiB, each a batch of its own; 8 MiB in all by default."""
    rows = numpy.ones((chunks * CHUNK_ROWS, 64), numpy.float32)
    return PredictStreamRequest(predict=predict_request("linear", raw_tensor("x", rows)), chunk_rows=CHUNK_ROWS)


@pytest.fixture(scope="module", name="server")
def fixture_server() -> Iterator[PredictdProcess]:
    """Waits for its readers longer than any test here does."""
    with PredictdProcess(["linear"], flags=["--stream-stall-timeout=60s", "--stream-window=4"]) as server:
        yield server


@pytest.fixture(scope="module", name="impatient")
def fixture_impatient() -> Iterator[PredictdProcess]:
    """Ends a stream whose reader takes nothing for a second."""
    with PredictdProcess(
        ["linear"], flags=[f"--stream-stall-timeout={STALL_SECONDS:.0f}s", "--stream-window=4"]
    ) as server:
        yield server


class StalledStreams:
    """Streams whose readers have stopped reading; entering returns when the server has stopped computing for them.

    "idle reader": lives, and answers pings, but never asks for another message. "suspended process": its sockets fill.
    """

    def __init__(self, server: PredictdProcess, reader: str, count: int = STREAMS) -> None:
        self._server = server
        self._reader = reader
        self._count = count
        self._streams: list[grpc.Call] = []
        self._stack = ExitStack()

    def __enter__(self) -> StalledStreams:
        self._batches_before = self._server.metric("predictd_batch_rows_count")
        with ExitStack() as stack:
            for _ in range(self._count):
                self._start(stack)
            self._stack = stack.pop_all()
        self._server.wait_for_metric("predictd_requests_in_flight", self._count, method="PredictStream")
        eventually(self._is_quiet, 30, "the server to stop computing")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._server.wait_until_idle()

    def batches(self) -> int:
        """How many have been computed since the streams began."""
        return int(self._server.metric("predictd_batch_rows_count") - self._batches_before)

    def _start(self, stack: ExitStack) -> None:
        if self._reader == "idle reader":
            channel = stack.enter_context(self._server.new_channel(FIXED_WINDOW))
            # grpc cancels a stream that nobody refers to.
            self._streams.append(Client(channel).predict_stream(long_stream(), timeout=None))
            return
        request = long_stream().SerializeToString()
        client = stack.enter_context(ClientProcess(self._server.address, PREDICT_STREAM, request))
        client.go()
        client.wait_for_messages(2)
        client.suspend()

    def _is_quiet(self) -> bool:
        before = self.batches()
        time.sleep(0.3)
        return before > 0 and self.batches() == before


def test_a_stalled_reader_does_not_grow_memory(server: PredictdProcess) -> None:
    # The first streams pay for what the allocator keeps.
    with StalledStreams(server, "idle reader"):
        pass
    with StalledStreams(server, "idle reader") as streams:
        computed = streams.batches()
        assert computed <= STREAMS * MOST_CHUNKS_OF_A_STALLED_STREAM
        before = server.resident_bytes()
        time.sleep(1)
        assert streams.batches() == computed
        # What has not been computed and sent comes to 30 MiB.
        assert server.resident_bytes() - before < 2 * 2**20


def test_many_stalled_readers_cost_no_more_than_their_requests(server: PredictdProcess) -> None:
    count = 12
    with StalledStreams(server, "idle reader", count):
        pass
    idle = server.resident_bytes()
    with StalledStreams(server, "idle reader", count):
        # Twice: the message, and the bytes that it came in.
        requests = 2 * count * CHUNKS * CHUNK_ROWS * ROW_BYTES
        assert server.resident_bytes() - idle < requests + 16 * 2**20


def test_a_suspended_client_stops_its_stream_and_its_death_ends_it(server: PredictdProcess) -> None:
    cancelled = server.metric("predictd_requests_total", method="PredictStream", code="CANCELLED")
    with StalledStreams(server, "suspended process", count=1) as streams:
        # It may read on for a moment before it is suspended.
        assert streams.batches() < CHUNKS / 2
        computed = streams.batches()
    assert server.metric("predictd_requests_total", method="PredictStream", code="CANCELLED") == cancelled + 1
    assert streams.batches() <= computed + 4, "the window at most"


@pytest.mark.parametrize("connection", ["another connection", "the same connection"])
def test_other_calls_keep_their_pace_beside_a_stalled_reader(server: PredictdProcess, connection: str) -> None:
    def median_seconds(client: Client) -> float:
        seconds = []
        for _ in range(50):
            started = time.monotonic()
            client.predict(one_row())
            seconds.append(time.monotonic() - started)
        return statistics.median(seconds)

    with server.new_channel(FIXED_WINDOW) as channel, server.new_channel() as other:
        alone = median_seconds(Client(other))
        with StalledStreams(server, "idle reader"):
            stalled = Client(channel).predict_stream(long_stream(), timeout=None)
            next(stalled)
            beside = median_seconds(Client(channel if connection == "the same connection" else other))
            print(f"median: {alone * 1000:.2f} ms alone, {beside * 1000:.2f} ms beside stalled streams")
            stalled.cancel()
        # A busy machine varies; what must not happen is a call that waits for a reader.
        assert beside < max(10 * alone, 0.05)


@pytest.mark.parametrize("reader", ["idle reader", "suspended process"])
def test_a_stalled_stream_is_ended_after_the_stall_timeout(impatient: PredictdProcess, reader: str) -> None:
    code = {"method": "PredictStream", "model": "linear", "code": "RESOURCE_EXHAUSTED"}
    before = impatient.metric("predictd_requests_total", **code)
    seconds_before = impatient.metric("predictd_request_seconds_sum", method="PredictStream")
    with StalledStreams(impatient, reader, count=1):
        impatient.wait_until_idle()
        assert impatient.metric("predictd_requests_total", **code) == before + 1
        lasted = impatient.metric("predictd_request_seconds_sum", method="PredictStream") - seconds_before
        assert STALL_SECONDS <= lasted < STALL_SECONDS + 5
    record = [record for record in impatient.log_records() if record.get("code") == "RESOURCE_EXHAUSTED"][-1]
    assert record["message"] == "the reader took too little for too long"


def test_a_stream_whose_reader_opens_no_window_is_reset(impatient: PredictdProcess) -> None:
    with RawHttp2(impatient.address, {INITIAL_WINDOW_SIZE: 0}) as connection:
        connection.send(encode_call(1, PREDICT_STREAM) + encode_message(1, long_stream(2).SerializeToString()))
        connection.read_until(HEADERS, 1)
        assert impatient.metric("predictd_requests_in_flight", method="PredictStream") == 1
        impatient.wait_until_idle()
        connection.read_until(RST_STREAM, 1)


def test_a_client_that_reads_too_late_learns_that_its_stream_was_cut(impatient: PredictdProcess) -> None:
    with impatient.new_channel(FIXED_WINDOW) as channel:
        stream = Client(channel).predict_stream(long_stream())
        impatient.wait_for_metric("predictd_requests_in_flight", 1, method="PredictStream")
        impatient.wait_until_idle()
        with pytest.raises(grpc.RpcError) as error:
            for _ in stream:
                pass
        # The status of the server's choice waits behind the messages that were never taken, so the stream is reset.
        assert error.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_a_reader_that_is_slow_but_steady_gets_everything(impatient: PredictdProcess) -> None:
    chunks = 40
    received = 0
    with impatient.new_channel(FIXED_WINDOW) as channel:
        started = time.monotonic()
        for event in Client(channel).predict_stream(long_stream(chunks)):
            received += event.rows.row_count
            if time.monotonic() - started < 2.5 * STALL_SECONDS:
                time.sleep(0.1)
    assert received == chunks * CHUNK_ROWS


def test_a_stalled_stream_ends_at_the_deadline_that_the_server_sets() -> None:
    with (
        PredictdProcess(["linear"], flags=["--max-deadline=1s", "--stream-stall-timeout=60s"]) as server,
        StalledStreams(server, "idle reader", count=1),
    ):
        server.wait_until_idle()
        assert server.metric("predictd_requests_total", method="PredictStream", code="DEADLINE_EXCEEDED") == 1
        assert 1 <= server.metric("predictd_request_seconds_sum", method="PredictStream") < 5
