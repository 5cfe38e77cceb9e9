"""Models as people write them are served with the answers that PyTorch itself gives, or refused with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import grpc
import numpy
import pytest
import torch

from model_kinds import Kind, Request
from model_kinds_arguments import ARGUMENT_KINDS
from model_kinds_files import FILE_KINDS
from model_kinds_outputs import OUTPUT_KINDS
from predictd_process import PredictdProcess, eventually
from protocol import (
    Client,
    Parameter,
    PredictStreamRequest,
    Tensor,
    collect,
    dtype,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    state_name,
    to_array,
)

KINDS: list[Kind] = ARGUMENT_KINDS + OUTPUT_KINDS + FILE_KINDS
SERVED = [kind for kind in KINDS if not kind.fails]
# Whose answers are the same whatever ran before.
COMPARED = [kind for kind in SERVED if kind.requests and not kind.error and not kind.warns]
RAW = {"output_encoding": Parameter(string_value="raw")}


@pytest.fixture(scope="module", name="kinds")
def fixture_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictdProcess]:
    """A server of all kinds with two workers."""
    repository = tmp_path_factory.mktemp("kinds") / "models"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for kind in KINDS:
        kind.export(repository)
    with PredictdProcess(repository, flags=["--workers=2"]) as server:
        yield server
    torch.set_num_threads(threads)


def request_of(kind: Kind, request: Request, **fields: Any) -> Any:
    inputs = []
    for name, value in request.items():
        if isinstance(value, torch.Tensor):
            inputs.append(raw_tensor(name, value.numpy()))
        else:
            shape = next(entry.shape for entry in kind.inputs if entry.name == name)
            extents = [len(value) if extent == -1 else extent for extent in shape]
            inputs.append(Tensor(name=name, shape=extents, bytes_values=[text.encode() for text in value]))
    return predict_request(kind.name, *inputs, parameters=RAW, **fields)


def answers(response: Any) -> dict[str, numpy.ndarray | list[str]]:
    return {
        output.name: texts(output.raw) if output.dtype == dtype("BYTES") else to_array(output)
        for output in response.outputs
    }


def texts(raw: bytes) -> list[str]:
    """Each behind its length."""
    found = []
    while raw:
        end = 4 + int.from_bytes(raw[:4], "little")
        found.append(raw[4:end].decode())
        raw = raw[end:]
    return found


def check(kind: Kind, request: Request, response: Any, tolerance: float) -> None:
    expected, got = kind.expected(request), answers(response)
    assert list(got) == list(expected), kind.name
    for name, value in expected.items():
        if isinstance(value, list):
            assert got[name] == value, f"{kind.name}: {name}"
            continue
        array = got[name]
        assert isinstance(array, numpy.ndarray)
        assert array.shape == value.shape, f"{kind.name}: {name} is {array.shape}, eager's {value.shape}"
        if value.dtype.kind == "f":
            largest = float(numpy.abs(value).max(initial=0))
            numpy.testing.assert_allclose(array, value, rtol=0, atol=tolerance * largest, err_msg=kind.name)
        else:
            numpy.testing.assert_array_equal(array, value, err_msg=kind.name)


def records(server: PredictdProcess) -> list[dict[str, Any]]:
    """The server's own: LibTorch warns on stderr, too."""
    return [json.loads(line) for line in server.log_lines() if line.startswith("{")]


def log_of(server: PredictdProcess, kind: Kind, message: str) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        return next((r for r in records(server) if r.get("model") == kind.name and r["msg"] == message), None)

    return eventually(find, 30, f"'{message}' of {kind.name}")


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.name)
def test_a_kind_is_ready_and_says_only_what_it_should(kinds: PredictdProcess, kind: Kind) -> None:
    version = kinds.client.get_model(kind.name).model.versions[0]
    assert state_name(version.state) == "READY", kinds.log_text()
    note = log_of(kinds, kind, "model ready").get("note", "")
    assert re.search(kind.warns, note) if kind.warns else not note, note


@pytest.mark.parametrize("kind", COMPARED, ids=lambda kind: kind.name)
def test_answers_are_eagers(kinds: PredictdProcess, kind: Kind) -> None:
    for request in kind.requests:
        check(kind, request, kinds.client.predict(request_of(kind, request)), kind.tolerance)


def test_answers_are_eagers_when_all_models_are_asked_at_once(kinds: PredictdProcess) -> None:
    asked = [(kind, request) for kind in COMPARED for request in kind.requests for _ in range(8)]
    futures = [kinds.client.predict_future(request_of(kind, request)) for kind, request in asked]
    for (kind, request), future in zip(asked, futures, strict=True):
        check(kind, request, future.result(), max(kind.tolerance, 1e-6))


@pytest.mark.parametrize("kind", [kind for kind in COMPARED if kind.batched()], ids=lambda kind: kind.name)
def test_rows_of_one_request_are_eagers(kinds: PredictdProcess, kind: Kind) -> None:
    alike = [request for request in kind.requests if request.keys() == kind.requests[0].keys()]
    stacked = {
        name: torch.cat([torch.as_tensor(request[name]) for request in alike])
        if isinstance(first, torch.Tensor)
        else [text for request in alike for text in request[name]]
        for name, first in kind.requests[0].items()
    }
    response = kinds.client.predict(request_of(kind, stacked))
    for row, request in enumerate(alike):
        one = type(response)()
        for output in response.outputs:
            array = to_array(output)[row : row + 1]
            one.outputs.append(raw_tensor(output.name, array, dtype=output.dtype))
        check(kind, request, one, max(kind.tolerance, 1e-6))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.fails], ids=lambda kind: kind.name)
def test_what_cannot_be_served_says_why(kinds: PredictdProcess, kind: Kind) -> None:
    version = kinds.client.get_model(kind.name).model.versions[0]
    assert state_name(version.state) == "FAILED"
    cause = log_of(kinds, kind, "model could not be loaded")["cause"]
    assert re.search(kind.fails, cause), cause
    assert str(kinds.repository) not in cause
    assert "frame #" not in cause


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.error], ids=lambda kind: kind.name)
def test_a_request_that_fails_tells_the_cause_to_the_log_only(kinds: PredictdProcess, kind: Kind) -> None:
    error = rpc_error(lambda: kinds.client.predict(request_of(kind, kind.requests[0])))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert not re.search(kind.error, error.details() or "")
    eventually(lambda: re.search(kind.error, str(records(kinds))), 30, kind.error)


# --- What remembers ---


def test_totals_of_a_stream_go_on_from_row_to_row(kinds: PredictdProcess) -> None:
    before = kinds.client.predict(predict_request("state_total", float_tensor("x", [[0.0]])))
    begin = before.outputs[0].float_values[0]
    request = predict_request("state_total", float_tensor("x", [[1.0]] * 200))
    events = collect(kinds.client.predict_stream(PredictStreamRequest(predict=request, chunk_rows=1)))
    totals = [event.outputs[0].float_values[0] for event in events["rows"]]
    assert totals == [begin + i + 1 for i in range(200)]


def test_the_warm_up_leaves_nothing_in_what_remembers(kinds: PredictdProcess) -> None:
    begun = ("state_total", "state_assigned", "state_dict", "state_optional")
    remembering = [kind for kind in OUTPUT_KINDS if kind.name.startswith("state_") and kind.name not in begun]
    assert len(remembering) > 10
    for kind in remembering:
        check(kind, kind.requests[0], kinds.client.predict(request_of(kind, kind.requests[0])), 0)


def test_assigned_attributes_do_not_mix_up_parallel_calls(kinds: PredictdProcess) -> None:
    clients = [Client(kinds.new_channel()) for _ in range(4)]
    for _ in range(20):
        futures = [
            (value, client.predict_future(predict_request("state_assigned", float_tensor("x", [[value] * 4]))))
            for value, client in enumerate(clients * 4)
        ]
        for value, future in futures:
            assert list(future.result().outputs[0].float_values) == [value] * 4
    for client in clients:
        client.channel.close()


def test_what_draws_is_not_cached(kinds: PredictdProcess) -> None:
    request = predict_request("noise", float_tensor("x", [[1.0] * 4]))
    first, second = (list(kinds.client.predict(request).outputs[0].float_values) for _ in range(2))
    assert first != second
