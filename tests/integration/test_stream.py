"""PredictStream gives every row once, in the order that was asked for, and ends as soon as it should."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from google.rpc import code_pb2

from predictd_process import DEMO_MODELS, PredictdProcess, has
from protocol import (
    FAIL_FAST,
    PER_ITEM,
    Client,
    Parameter,
    PredictStreamRequest,
    Tensor,
    collect,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    slow_request,
    to_arrays,
    trailer,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from model_folder import TensorSpec, model_toml

IMAGES = DEMO_MODELS / "digits" / "heldout" / "images.npy"


def stream_request(request: Any, **options: Any) -> Any:
    return PredictStreamRequest(predict=request, **options)


def slow_stream(
    chunks: int, milliseconds: float, first: float | None = None, request_id: str = "", **options: Any
) -> Any:
    """Chunks of four rows, of which no two share a batch. The first may take another time."""
    times = numpy.full((4 * chunks, 1), milliseconds, dtype=numpy.float32)
    times[:4] = milliseconds if first is None else first
    return stream_request(predict_request("slow", raw_tensor("x", times), request_id=request_id), **options)


def read_all(client: Client, stream: Any, timeout: float) -> list[Any]:
    return list(client.predict_stream(stream, timeout=timeout))


def ranges(rows: list[Any]) -> list[tuple[int, int]]:
    return [(result.first_row, result.row_count) for result in rows]


# --- Rows and their order ---


@pytest.mark.parametrize("chunk_rows", [0, 1, 7, 64])
def test_the_chunks_cover_all_rows_in_order(client: Client, chunk_rows: int) -> None:
    images = numpy.load(IMAGES)
    count = len(images) if chunk_rows != 1 else 20
    request = predict_request("digits", raw_tensor("image", images[:count]), request_id="all")
    events = collect(client.predict_stream(stream_request(request, chunk_rows=chunk_rows)))

    size = chunk_rows or 64
    expected = [(first, min(size, count - first)) for first in range(0, count, size)]
    (start,) = events["start"]
    assert (start.model_name, start.model_version, start.request_id) == ("digits", 2, "all")
    assert (start.total_rows, start.total_chunks) == (count, len(expected))
    assert ranges(events["rows"]) == expected
    (summary,) = events["summary"]
    assert (summary.rows_ok, summary.rows_failed) == (count, 0)


def test_the_rows_are_those_of_predict(client: Client) -> None:
    images = numpy.load(IMAGES)[:50]
    outputs = ["label", "probabilities"]
    request = predict_request("digits", raw_tensor("image", images), model_version=1, outputs=outputs)
    events = collect(client.predict_stream(stream_request(request, chunk_rows=8)))
    whole = client.predict(request)
    assert [tensor.name for tensor in events["rows"][0].outputs] == outputs
    assert b"".join(rows.outputs[0].raw for rows in events["rows"]) == whole.outputs[0].raw
    streamed = b"".join(rows.outputs[1].raw for rows in events["rows"])
    numpy.testing.assert_allclose(
        numpy.frombuffer(streamed, numpy.float32), numpy.frombuffer(whole.outputs[1].raw, numpy.float32), atol=1e-6
    )


def test_the_first_event_is_the_start_and_the_last_the_summary(client: Client) -> None:
    request = predict_request("linear", float_tensor("x", numpy.zeros((3, 64))))
    events = list(client.predict_stream(stream_request(request, chunk_rows=1)))
    assert [event.WhichOneof("event") for event in events] == ["start", "rows", "rows", "rows", "summary"]


def test_ordered_rows_wait_for_those_before_them(client: Client) -> None:
    for request in (slow_stream(6, 1, first=200), slow_stream(6, 1, first=200, ordered=True)):
        events = collect(client.predict_stream(request))
        assert [first for first, _ in ranges(events["rows"])] == [0, 4, 8, 12, 16, 20]


def test_unordered_rows_come_as_they_are_computed(client: Client) -> None:
    events = collect(client.predict_stream(slow_stream(6, 1, first=300, ordered=False)))
    order = [first for first, _ in ranges(events["rows"])]
    assert sorted(order) == [0, 4, 8, 12, 16, 20]
    assert order[0] != 0
    for rows in events["rows"]:
        values = numpy.frombuffer(rows.outputs[0].raw, numpy.float32)
        assert list(values) == [300 if rows.first_row == 0 else 1] * 4
    assert events["summary"][0].rows_ok == 24


def test_rows_come_before_the_last_ones_ran(server: PredictdProcess) -> None:
    before = server.metric("predictd_batch_rows_sum", model="slow")
    stream = server.client.predict_stream(slow_stream(20, 50))
    assert next(stream).WhichOneof("event") == "start"
    assert next(stream).rows.first_row == 0
    assert server.metric("predictd_batch_rows_sum", model="slow") - before < 80
    assert len(collect(stream)["rows"]) == 19


def test_a_typed_stream_is_answered_typed(client: Client) -> None:
    request = predict_request("slow", float_tensor("x", [[0], [1], [2]]))
    events = collect(client.predict_stream(stream_request(request, chunk_rows=2)))
    assert [list(rows.outputs[0].float_values) for rows in events["rows"]] == [[0, 1], [2]]
    request.parameters["output_encoding"].CopyFrom(Parameter(string_value="raw"))
    events = collect(client.predict_stream(stream_request(request, chunk_rows=2)))
    assert [len(rows.outputs[0].raw) for rows in events["rows"]] == [8, 4]


@pytest.fixture(name="wide", scope="module")
def fixture_wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictdProcess]:
    """A server of a model whose rows are answered with 400,000 bytes each."""
    import torch

    class Wide(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.expand(-1, 100_000) * 1.0

    folder = tmp_path_factory.mktemp("wide") / "models" / "wide"
    (folder / "1").mkdir(parents=True)
    torch.jit.script(Wide()).save(str(folder / "1" / "model.pt"))
    tensors = [TensorSpec("x", "FP32", [-1, 1])], [TensorSpec("y", "FP32", [-1, 100_000])]
    (folder / "model.toml").write_text(model_toml("Wide rows.", *tensors), encoding="utf-8")
    with PredictdProcess(folder.parent) as server:
        yield server


def test_a_client_takes_the_results_of_a_stream_as_it_is(wide: PredictdProcess) -> None:
    values = numpy.arange(40, dtype=numpy.float32).reshape(40, 1)
    request = predict_request("wide", raw_tensor("x", values))
    # A channel without options takes messages of 4 MiB; the whole answer has four times as much.
    with grpc.insecure_channel(wide.address) as channel:
        client = Client(channel)
        error = rpc_error(lambda: client.predict(request))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        events = collect(client.predict_stream(stream_request(request)))
    assert ranges(events["rows"]) == [(0, 10), (10, 10), (20, 10), (30, 10)]
    answered = numpy.concatenate([to_arrays(result)["y"] for result in events["rows"]])
    assert (answered == values).all()
    # Who asks for more gets more.
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(wide.address, options=options) as channel:
        (rows,) = collect(Client(channel).predict_stream(stream_request(request, chunk_rows=64)))["rows"]
        assert rows.row_count == 40


@pytest.mark.parametrize("model", ["fixed", "strings"])
def test_a_model_without_rows_answers_in_one_chunk(client: Client, model: str) -> None:
    if model == "fixed":
        request = predict_request("fixed", float_tensor("a", numpy.ones((2, 3))), Tensor(name="b", int64_values=[5]))
    else:
        request = predict_request("strings", Tensor(name="text", bytes_values=[b"a", b"bc", b"d"]))
    events = collect(client.predict_stream(stream_request(request)))
    assert (events["start"][0].total_rows, events["start"][0].total_chunks) == (1, 1)
    assert ranges(events["rows"]) == [(0, 1)]
    assert list(events["rows"][0].outputs) == list(client.predict(request).outputs)
    assert events["summary"][0].rows_ok == 1


def test_two_streams_at_once_keep_their_rows_apart(client: Client) -> None:
    rows = numpy.arange(2 * 200, dtype=numpy.float32).reshape(2, 200, 1)
    requests = [predict_request("faulty", raw_tensor("x", part**2)) for part in rows]
    streams = [client.predict_stream(stream_request(request, chunk_rows=3)) for request in requests]
    for part, stream in zip(rows, streams, strict=True):
        results = b"".join(result.outputs[0].raw for result in collect(stream)["rows"])
        assert results == part.tobytes()


# --- Errors ---


def faulty_stream(**options: Any) -> Any:
    """Ten rows of which the fourth and the ninth fail."""
    values = [[0.0], [1.0], [4.0], [-1.0], [9.0], [16.0], [25.0], [36.0], [-2.0], [49.0]]
    return stream_request(predict_request("faulty", float_tensor("x", values)), **options)


def test_per_item_errors_stand_for_their_rows_and_the_others_go_on(server: PredictdProcess) -> None:
    events = collect(server.client.predict_stream(faulty_stream(chunk_rows=1, on_error=PER_ITEM)))
    assert ranges(events["rows"]) == [(row, 1) for row in range(10)]
    for rows in events["rows"]:
        if rows.first_row in (3, 8):
            assert rows.error.code == code_pb2.INTERNAL
            assert not rows.outputs
            assert "square" not in str(rows)
            error_id = rows.error.message.rpartition(" ")[2]
            record = server.wait_for_log(has("error_id", error_id))
            assert "the square root of a negative row" in record["cause"]
        else:
            assert not rows.HasField("error")
            assert len(rows.outputs) == 1
    (summary,) = events["summary"]
    assert (summary.rows_ok, summary.rows_failed) == (8, 2)


def test_a_per_item_error_counts_all_rows_of_its_chunk(client: Client) -> None:
    events = collect(client.predict_stream(faulty_stream(chunk_rows=2, on_error=PER_ITEM)))
    assert [rows.HasField("error") for rows in events["rows"]] == [False, True, False, False, True]
    assert (events["summary"][0].rows_ok, events["summary"][0].rows_failed) == (6, 4)


@pytest.mark.parametrize("on_error", [0, FAIL_FAST])
def test_the_first_error_ends_the_call_after_the_rows_before_it(client: Client, on_error: int) -> None:
    received = []

    def read() -> None:
        received.extend(client.predict_stream(faulty_stream(chunk_rows=1, on_error=on_error)))

    error = rpc_error(read)
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "error id" in error.details()
    assert [event.WhichOneof("event") for event in received] == ["start", "rows", "rows", "rows"]
    assert [list(event.rows.outputs[0].float_values) for event in received[1:]] == [[0], [1], [2]]


def test_unordered_per_item_errors_are_all_told(client: Client) -> None:
    events = collect(client.predict_stream(faulty_stream(chunk_rows=1, on_error=PER_ITEM, ordered=False)))
    assert sorted(ranges(events["rows"])) == [(row, 1) for row in range(10)]
    assert {rows.first_row for rows in events["rows"] if rows.HasField("error")} == {3, 8}


# --- Ends before the end ---


def test_a_stream_that_is_cancelled_stops_computing(server: PredictdProcess) -> None:
    server.wait_until_idle()
    batches_before = server.metric("predictd_batch_rows_count", model="slow")
    cancelled = {"method": "PredictStream", "model": "slow", "code": "CANCELLED"}
    cancelled_before = server.metric("predictd_requests_total", **cancelled)

    stream = server.client.predict_stream(slow_stream(1000, 20))
    assert next(stream).start.total_chunks == 1000
    assert next(stream).rows.row_count == 4
    stream.cancel()

    # No more than the chunks that are under way: the window and one per worker.
    server.wait_until_idle()
    assert server.metric("predictd_requests_total", **cancelled) == cancelled_before + 1
    assert server.metric("predictd_batch_rows_count", model="slow") - batches_before < 100


def test_the_callers_deadline_ends_a_stream(server: PredictdProcess) -> None:
    received = []

    def read() -> None:
        received.extend(server.client.predict_stream(slow_stream(1000, 20, request_id="in time"), timeout=0.3))

    error = rpc_error(read)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(received) >= 1
    server.wait_until_idle()
    record = server.wait_for_log(lambda record: record.get("request_id") == "in time")
    # The caller gives up at its deadline, and its cancellation can overtake the server's timer.
    assert record["code"] in ("DEADLINE_EXCEEDED", "CANCELLED")
    assert record["total_ms"] < 20_000


@pytest.fixture(scope="module", name="limited")
def fixture_limited() -> Iterator[PredictdProcess]:
    """A server that limits how long calls take: 200 ms for those that bring no deadline, 600 ms at most."""
    flags = ["--workers=2", "--default-deadline=200ms", "--max-deadline=600ms", "--log-requests=all"]
    with PredictdProcess(["slow"], flags) as server:
        yield server


def server_milliseconds(call: Any) -> float:
    """What the server says that the call took."""
    total = (trailer(call, "server-timing") or "").partition("total;dur=")[2]
    return float(total.partition(",")[0])


@pytest.mark.parametrize(("timeout", "limit"), [(None, 200), (30, 600)])
def test_the_servers_deadlines_end_a_stream_and_say_where(
    limited: PredictdProcess, timeout: float | None, limit: float
) -> None:
    received = []

    def read() -> None:
        received.extend(limited.client.predict_stream(slow_stream(1000, 20), timeout=timeout))

    error = rpc_error(read)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.details() in [f"the deadline passed in the {where}" for where in ("stream", "batch", "queue")]
    assert limit <= server_milliseconds(error) < limit + 5000
    assert received[0].start.total_chunks == 1000
    assert 1 <= len(received) < 500
    assert all(event.rows.row_count == 4 for event in received[1:])
    limited.wait_until_idle()


def test_a_deadline_passes_in_the_batch_while_the_worker_computes_on(limited: PredictdProcess) -> None:
    error = rpc_error(lambda: limited.client.predict(slow_request(1000), timeout=None))
    assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed in the batch")
    assert server_milliseconds(error) >= 200
    # The answer did not wait for the batch's end.
    assert limited.metric("predictd_requests_running", model="slow") == 1
    limited.wait_until_idle()


def test_a_deadline_passes_in_the_queue_and_the_request_is_never_run() -> None:
    # A server that has only seen short runs, or it would refuse what cannot be in time.
    with PredictdProcess(["slow"], ["--workers=2", "--default-deadline=200ms", "--max-deadline=600ms"]) as server:
        client = server.client
        batches_before = server.metric("predictd_batch_rows_count", model="slow")
        held = [client.predict_future(slow_request(1200, rows=4), timeout=None) for _ in range(2)]
        server.wait_for_metric("predictd_requests_running", 2, model="slow")
        error = rpc_error(lambda: client.predict(slow_request(1), timeout=None))
        assert (error.code(), error.details()) == (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "the deadline passed in the queue",
        )
        for future in held:
            assert future.exception().details() == "the deadline passed in the batch"
        server.wait_until_idle()
        assert server.metric("predictd_batch_rows_count", model="slow") - batches_before == 2


def test_a_stream_whose_deadline_has_passed_on_arrival_is_refused(server: PredictdProcess) -> None:
    for timeout in (0, 0.000001):
        error = rpc_error(partial(read_all, server.client, slow_stream(10, 20), timeout))
        # The smallest time-out on the wire is a moment in which a busy server can refuse the call.
        assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    server.wait_until_idle()
