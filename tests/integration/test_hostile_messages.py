"""Messages that would make the server do far more than they cost: each is refused before it is built, and while it is
nobody else waits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy
import pytest

from predictd_process import TEST_MODELS, PredictdProcess, make_repository
from protocol import (
    PREDICT,
    PREDICT_STREAM,
    Client,
    PredictStreamRequest,
    Tensor,
    collect,
    predict_request,
    raw_tensor,
    rpc_error,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MIB = 1 << 20
RANGED = """
batched = false
[[inputs]]
name = "a"
dtype = "FP32"
shape = [2, 3]
range = [0, 0.5]
[[inputs]]
name = "b"
dtype = "INT64"
shape = []
range = [-1, 9]
[[outputs]]
name = "c"
dtype = "FP32"
shape = [2, 3]
"""
EMPTY = """
[[inputs]]
name = "ids"
dtype = "INT64"
shape = [-1, -1]
allow_empty = true
[[inputs]]
name = "scale"
dtype = "FP32"
shape = [-1, 1]
[[outputs]]
name = "sum"
dtype = "FP32"
shape = [-1, 1]
"""


@pytest.fixture(scope="module", name="server")
def fixture_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictdProcess]:
    repository = make_repository(tmp_path_factory.mktemp("hostile") / "models", ["linear", "multi", "strings"])
    write_model(repository / "ranged", RANGED, TEST_MODELS / "fixed/1/model.pt")
    write_model(repository / "empty", EMPTY, TEST_MODELS / "multi/1/model.pt")
    odd = repository / os.fsdecode(b"mod\xe8le")
    odd.mkdir()
    (odd / "model.toml").write_text(RANGED)
    with PredictdProcess(repository, flags=["--log-requests=none", "--workers=1", "--loops=1"]) as server:
        server.client.predict(linear_rows(1))
        yield server


def write_model(folder: Path, toml: str, module: Path) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "model.toml").write_text(toml)
    (folder / "1/model.pt").symlink_to(module)


def linear_rows(rows: int) -> object:
    return predict_request("linear", raw_tensor("x", numpy.ones((rows, 64), numpy.float32)))


def delimited(field: int, content: bytes) -> bytes:
    """A length-delimited field as it goes over the wire."""
    length, prefix = len(content), bytes([field << 3 | 2])
    while length > 127:
        prefix += bytes([length & 127 | 128])
        length >>= 7
    return prefix + bytes([length]) + content


class Bystander:
    """Calls Predict all the time on a connection of its own; `longest` is what one call took at most, in seconds."""

    def __init__(self, server: PredictdProcess) -> None:
        self._server = server
        self._stop = threading.Event()
        self.longest = 0.0

    def _run(self) -> None:
        with self._server.new_channel() as channel:
            client, request = Client(channel), linear_rows(1)
            while not self._stop.is_set():
                start = time.monotonic()
                client.predict(request, timeout=30)
                self.longest = max(self.longest, time.monotonic() - start)

    def __enter__(self) -> Bystander:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


COUNT = 4 * MIB
TEXT = delimited(1, b"strings")
MANY = {
    "inputs": delimited(1, b"linear") + b"\x22\x00" * COUNT,
    "outputs": delimited(1, b"linear") + b"\x2a\x00" * COUNT,
    "outputs, and the model last": b"\x2a\x00" * COUNT + delimited(1, b"linear"),
    "parameters": delimited(1, b"linear") + b"\x32\x00" * COUNT,
    "messages of a chat": delimited(1, b"linear") + delimited(7, delimited(2, b"\x0a\x00" * COUNT)),
    "prompts that replace each other": delimited(1, b"linear") + delimited(7, b"\x12\x00\x1a\x00" * (COUNT // 2)),
    "biases": delimited(1, b"linear") + delimited(7, b"\x62\x00" * COUNT),
    "stop strings": delimited(1, b"linear") + delimited(7, b"\x72\x00" * COUNT),
    "strings": TEXT + delimited(4, delimited(1, b"text") + b"\x62\x00" * COUNT),
    "strings of text": TEXT + delimited(4, delimited(1, b"text") + b"\x6a\x00" * COUNT),
    "strings of both kinds": TEXT + delimited(4, delimited(1, b"text") + (b"\x62\x00" + b"\x6a\x00") * 700_000),
    "raw strings": TEXT + delimited(4, delimited(1, b"text") + delimited(4, bytes(2 * COUNT))),
    "extents": delimited(1, b"linear") + delimited(4, delimited(3, b"\x01" * COUNT)),
    "unknown fields": delimited(1, b"linear") + b"\x50\x00" * COUNT,
    "unknown groups": delimited(1, b"linear") + b"\x53\x54" * COUNT,
    "groups in groups": delimited(1, b"linear") + b"\x53" * COUNT,
}


@pytest.mark.parametrize("stream", [False, True], ids=["Predict", "PredictStream"])
@pytest.mark.parametrize("name", MANY)
def test_more_than_a_request_can_use_is_refused_before_it_is_built(
    server: PredictdProcess, name: str, stream: bool
) -> None:
    before = server.peak_bytes()
    with Bystander(server) as bystander:
        if stream:
            call = server.channel.unary_stream(PREDICT_STREAM)
            error = rpc_error(lambda: list(call(delimited(1, MANY[name]), timeout=30)))
        else:
            error = rpc_error(lambda: server.channel.unary_unary(PREDICT)(MANY[name], timeout=30))
    assert error.code() == INVALID
    assert "at most" in error.details()
    # The message itself is 8 MiB, once as it comes and once in the making.
    assert server.peak_bytes() - before < 64 * MIB
    assert bystander.longest < 1


def test_a_large_request_is_decoded_away_from_the_loop_and_answered(server: PredictdProcess) -> None:
    rows = 100_000
    typed = Tensor(name="x", shape=[rows, 64], float_values=[1.0] * (64 * rows))
    with Bystander(server) as bystander:
        answers = collect(server.client.predict_stream(PredictStreamRequest(predict=predict_request("linear", typed))))
    assert answers["summary"][0].rows_ok == rows
    assert bystander.longest < 1


@pytest.mark.parametrize("shape", [[2**40, 0], [1, 0], [0, 1], [2**62, 0], [0, 2**62]])
def test_an_extent_of_0_is_refused_where_the_model_does_not_take_it(server: PredictdProcess, shape: list[int]) -> None:
    request = predict_request("multi", Tensor(name="ids", shape=shape), Tensor(name="scale", float_values=[1]))
    for call in (
        lambda: server.client.predict(request),
        lambda: list(server.client.predict_stream(PredictStreamRequest(predict=request, chunk_rows=1))),
    ):
        error = rpc_error(call)
        assert error.code() == INVALID
        assert "with extents of at least 1" in error.details()


def test_rows_of_no_elements_are_rows_where_the_model_takes_them(server: PredictdProcess) -> None:
    def request(rows: int, columns: int) -> object:
        return predict_request(
            "empty", Tensor(name="ids", shape=[rows, columns]), Tensor(name="scale", float_values=[1] * min(rows, 2))
        )

    answer = server.client.predict(request(2, 0))
    assert list(answer.outputs[0].shape) == [2, 1]
    assert list(answer.outputs[0].float_values) == [0.0, 0.0]
    error = rpc_error(lambda: server.client.predict(request(2**40, 0)))
    assert error.code() == INVALID
    assert "product is at most 2147483648" in error.details()


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ([0, 0.5, 0.25, 0, 0, 0.75], 9, "inputs[0].float_values: expected values from 0 to 0.5, got 0.75 as element 5"),
        ([0, float("nan"), 0, 0, 0, 0], 9, "got nan as element 1"),
        ([0.5] * 6, 10, "inputs[1].int64_values: expected values from -1 to 9, got 10 as element 0"),
        ([0.5] * 6, -2, "got -2 as element 0"),
    ],
)
def test_a_value_outside_its_range_is_the_callers_error(
    server: PredictdProcess, a: list[float], b: int, says: str
) -> None:
    def request(a: list[float], b: int) -> object:
        return predict_request("ranged", Tensor(name="a", float_values=a), Tensor(name="b", int64_values=[b]))

    error = rpc_error(lambda: server.client.predict(request(a, b)))
    assert error.code() == INVALID
    assert says in error.details()
    assert server.client.predict(request([0.5] * 6, 9)).outputs[0].float_values == [4.5] * 6


def test_a_folder_whose_name_is_no_text_is_left_out_and_the_others_are_listed(server: PredictdProcess) -> None:
    names = [model.name for model in server.client.list_models().models]
    assert names == ["empty", "linear", "multi", "ranged", "strings"]
    assert any("mod\\xe8le" in record.get("model", "") for record in server.log_records())
