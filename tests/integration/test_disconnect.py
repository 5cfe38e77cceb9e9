"""Whose client has gone, is not computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from client_process import ClientProcess
from predictd_process import PredictdProcess, eventually
from protocol import PREDICT, PREDICT_STREAM, Client, PredictStreamRequest, slow_request

STEP_SECONDS = 0.02
CHUNKS = 2000


@pytest.fixture(scope="module", name="server")
def fixture_server() -> Iterator[PredictdProcess]:
    """With one worker, so that a single call keeps all others waiting."""
    with PredictdProcess(["slow"], flags=["--workers=1"]) as server:
        yield server


def long_stream() -> PredictStreamRequest:
    """Forty seconds of work in steps of about 20 ms."""
    return PredictStreamRequest(predict=slow_request(STEP_SECONDS * 1000, rows=CHUNKS), chunk_rows=1)


def batches(server: PredictdProcess) -> int:
    """How many have been computed."""
    return int(server.metric("predictd_batch_rows_count"))


def cancelled_calls(server: PredictdProcess, method: str) -> int:
    return int(server.metric("predictd_requests_total", method=method, code="CANCELLED"))


def check_that_work_stops(server: PredictdProcess, leave: Callable[[], object]) -> None:
    """After `leave`, a stream that runs must cost no more than the steps that were under way."""
    cancelled = cancelled_calls(server, "PredictStream")
    before = batches(server)
    leave()
    server.wait_until_idle()
    after = batches(server)
    # One step is under way; on a machine that is busy it takes the server some more to hear of it.
    assert after - before <= 10
    time.sleep(10 * STEP_SECONDS)
    assert batches(server) == after
    assert cancelled_calls(server, "PredictStream") == cancelled + 1


def test_a_client_killed_mid_stream_frees_its_work(server: PredictdProcess) -> None:
    with ClientProcess(server.address, PREDICT_STREAM, long_stream().SerializeToString()) as client:
        client.go()
        client.wait_for_messages(4)
        check_that_work_stops(server, client.kill)


@pytest.mark.parametrize("how", ["cancels the call", "closes the connection"])
def test_a_client_that_leaves_mid_stream_frees_its_work(server: PredictdProcess, how: str) -> None:
    with server.new_channel() as channel:
        stream = Client(channel).predict_stream(long_stream(), timeout=None)
        for _ in range(4):
            next(stream)
        check_that_work_stops(server, stream.cancel if how == "cancels the call" else channel.close)


def test_a_stream_that_ends_before_its_chunks_were_read_has_computed_only_its_window(server: PredictdProcess) -> None:
    before = batches(server)
    with server.new_channel() as channel:
        Client(channel).predict_stream(long_stream(), timeout=None).cancel()
    server.wait_until_idle()
    assert batches(server) - before <= 10


class BlockedWorker:
    """The only worker computes for two seconds, or until the end of the block, whichever is later."""

    def __init__(self, server: PredictdProcess) -> None:
        self._server = server

    def __enter__(self) -> None:
        self._blocker = self._server.client.predict_future(slow_request(2000))
        self._server.wait_for_metric("predictd_requests_running", 1)

    def __exit__(self, *_: object) -> None:
        self._blocker.result()


def check_that_it_leaves_the_queue(server: PredictdProcess, leave: Callable[[], object]) -> None:
    """After `leave`, the call that waits must leave the queue while the worker is still blocked."""
    cancelled = cancelled_calls(server, "Predict")
    server.wait_for_metric("predictd_queue_depth", 1)
    leave()
    server.wait_for_metric("predictd_queue_depth", 0)
    eventually(lambda: cancelled_calls(server, "Predict") == cancelled + 1, 10, "the call to end")
    assert server.metric("predictd_requests_running") == 1, "the worker was free before the call was gone: try again"


def test_a_call_whose_client_was_killed_while_it_waited_is_never_computed(server: PredictdProcess) -> None:
    before = server.metric("predictd_batch_rows_sum")
    with (
        ClientProcess(server.address, PREDICT, slow_request(1, rows=3).SerializeToString()) as client,
        BlockedWorker(server),
    ):
        client.go()
        check_that_it_leaves_the_queue(server, client.kill)
    server.wait_until_idle()
    assert server.metric("predictd_batch_rows_sum") == before + 1, "only the one row of the call that blocked"


def test_a_call_that_is_cancelled_while_it_waits_is_never_computed(server: PredictdProcess) -> None:
    before = server.metric("predictd_batch_rows_sum")
    with BlockedWorker(server):
        call = server.client.predict_future(slow_request(1, rows=3))
        check_that_it_leaves_the_queue(server, call.cancel)
    server.wait_until_idle()
    assert server.metric("predictd_batch_rows_sum") == before + 1, "only the one row of the call that blocked"


def test_a_call_that_is_cancelled_while_it_runs_ends_before_its_step_does(server: PredictdProcess) -> None:
    cancelled = cancelled_calls(server, "Predict")
    call = server.client.predict_future(slow_request(1000))
    server.wait_for_metric("predictd_requests_running", 1)
    call.cancel()
    eventually(lambda: cancelled_calls(server, "Predict") == cancelled + 1, 10, "the call to end")
    assert server.metric("predictd_requests_running") == 1, "the step was over before the call: try again"
    assert call.code() == grpc.StatusCode.CANCELLED
    server.wait_until_idle()
