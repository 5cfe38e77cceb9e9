"""ModelInfer of the Open Inference Protocol, as tritonclient speaks it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import numpy
import pytest
import tritonclient.grpc.aio
from tritonclient.grpc import InferenceServerClient, InferInput

from open_inference import (
    CONTENTS,
    TYPES,
    infer_request,
    outputs,
    raw_infer,
    slow_input,
    triton_client,
    triton_error,
    triton_input,
)
from predictd_process import PredictdProcess, has
from protocol import (
    error_details,
    field_violations,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    server_timing,
    to_arrays,
    trailer,
)

CODE = grpc.StatusCode


@pytest.fixture(scope="module", name="triton")
def fixture_triton(server: PredictdProcess) -> Iterator[InferenceServerClient]:
    with triton_client(server) as client:
        yield client


# --- ModelInfer ---


def test_every_type_goes_in_and_out_raw(triton: InferenceServerClient) -> None:
    arrays = {name: numpy.array([[0, 1, 1], [1, 0, 1]]).astype(dtype) for name, dtype in TYPES.items()}
    inputs = [triton_input(f"{name.lower()}_in", array, name) for name, array in arrays.items()]
    answer = triton.infer("types", inputs, request_id="all of them")
    assert answer.get_response().id == "all of them"
    assert (answer.get_response().model_name, answer.get_response().model_version) == ("types", "1")
    for name, array in arrays.items():
        out = answer.as_numpy(f"{name.lower()}_out")
        assert out.dtype == array.dtype
        numpy.testing.assert_array_equal(out.astype(numpy.float64), array.astype(numpy.float64))


def test_every_type_that_has_typed_contents_goes_in_typed(server: PredictdProcess) -> None:
    """In a request of its own each, since those of 16 bits are raw and may not be mixed with them."""
    arrays = {name: numpy.array([[1, 0, 1]]).astype(dtype) for name, dtype in TYPES.items()}
    request = infer_request("types")
    for name, array in arrays.items():
        tensor = request.inputs.add(name=f"{name.lower()}_in", datatype=name, shape=[1, 3])
        if name in CONTENTS:
            getattr(tensor.contents, CONTENTS[name]).extend(array.reshape(-1).tolist())
    violations = field_violations(rpc_error(lambda: raw_infer(server.channel)(request)))
    assert violations.keys() == {"inputs[9].shape", "inputs[10].shape"}, "of those of 16 bits alone"


def test_typed_and_raw_contents_mean_the_same(server: PredictdProcess, triton: InferenceServerClient) -> None:
    x = numpy.linspace(-1, 1, 128, dtype=numpy.float32).reshape(2, 64)
    raw = triton.infer("linear", [triton_input("x", x)]).as_numpy("y")
    request = infer_request("linear")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[2, 64])
    tensor.contents.fp32_contents.extend(x.reshape(-1).tolist())
    typed = raw_infer(server.channel)(request)
    assert typed.raw_output_contents[0] == raw.tobytes()
    ours = server.client.predict(predict_request("linear", raw_tensor("x", x)))
    numpy.testing.assert_array_equal(to_arrays(ours)["y"], raw)


def test_strings_go_in_and_out(server: PredictdProcess, triton: InferenceServerClient) -> None:
    text = numpy.array([b"", b"\x00\xff", "gr\u00fc\u00df dich".encode(), b"x" * 1000], dtype=numpy.object_)
    answer = triton.infer("strings", [triton_input("text", text, "BYTES")], outputs=outputs("length", "upper"))
    assert answer.as_numpy("length").tolist() == [len(element) for element in text]
    assert answer.as_numpy("upper").shape == (4,)
    request = infer_request("strings")
    request.inputs.add(name="text", datatype="BYTES", shape=[4]).contents.bytes_contents.extend(text.tolist())
    assert list(raw_infer(server.channel)(request).raw_output_contents) == list(
        answer.get_response().raw_output_contents
    )


def test_outputs_come_as_they_are_asked_for(triton: InferenceServerClient) -> None:
    image = triton_input("image", numpy.zeros((1, 1, 8, 8)))
    everything = triton.infer("digits", [image]).get_response()
    assert [output.name for output in everything.outputs] == ["probabilities", "label"]
    one = triton.infer("digits", [image], outputs=outputs("label")).get_response()
    assert [output.name for output in one.outputs] == ["label"]
    assert len(one.raw_output_contents) == 1
    turned = triton.infer(
        "digits", [image], outputs=outputs("label", "probabilities"), model_version="1"
    ).get_response()
    assert [output.name for output in turned.outputs] == ["label", "probabilities"]
    assert turned.model_version == "1"


def test_wrong_requests_name_the_field(server: PredictdProcess, triton: InferenceServerClient) -> None:
    ones = numpy.ones((1, 64))
    wrong = {
        "inputs[0].name: expected one of x, got 'q' (and 1 more)": [triton_input("q", ones)],
        "inputs: expected the input x, got none": [],
        "inputs[0].datatype: expected FP32, got 'FP64'": [triton_input("x", ones, "FP64")],
    }
    for message, inputs in wrong.items():
        assert triton_error(partial(triton.infer, "linear", inputs)) == ("INVALID_ARGUMENT", message)
    code, message = triton_error(lambda: triton.infer("linear", [triton_input("x", numpy.ones((1, 63)))]))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("inputs[0].shape: ")
    mixed = infer_request("linear", triton_input("x", ones))
    mixed.inputs[0].contents.fp32_contents.append(1)
    error = rpc_error(lambda: raw_infer(server.channel)(mixed))
    assert error.code() == CODE.INVALID_ARGUMENT
    assert field_violations(error).keys() == {"inputs[0].contents"}
    assert not error_details(error).message.endswith("more)")


def test_what_asks_for_another_answer_is_refused(triton: InferenceServerClient) -> None:
    x = triton_input("x", numpy.ones((1, 64)))
    code, message = triton_error(lambda: triton.infer("linear", [x], sequence_id=3, sequence_start=True))
    assert code == "INVALID_ARGUMENT"
    assert "sequence_" in message
    classes = [tritonclient.grpc.InferRequestedOutput("y", class_count=2)]
    code, message = triton_error(lambda: triton.infer("linear", [x], outputs=classes))
    assert (code, message.partition(":")[0]) == ("INVALID_ARGUMENT", 'outputs[0].parameters["classification"]')
    shared = InferInput("x", [1, 64], "FP32").set_shared_memory("region", 256)
    code, message = triton_error(lambda: triton.infer("linear", [shared]))
    assert code == "INVALID_ARGUMENT"
    assert "shared_memory" in message


def test_parameters_without_effect_are_named_in_the_answer(triton: InferenceServerClient) -> None:
    x = triton_input("x", numpy.ones((1, 64)))
    answer = triton.infer("linear", [x], parameters={"mine": 1, "yours": "a"}, priority=1).get_response()
    assert answer.parameters["ignored_parameters"].string_param == "mine,yours"
    assert not triton.infer("linear", [x], priority=5).get_response().parameters


def test_requests_of_both_protocols_share_batches(server: PredictdProcess, triton: InferenceServerClient) -> None:
    """While both workers are busy, one request of each protocol waits, and they run together."""
    busy = [triton.async_infer("slow", [slow_input(300)], lambda result, error: None) for _ in range(2)]
    server.wait_for_metric("predictd_requests_running", 2, model="slow")
    ours = server.client.predict_future(predict_request("slow", float_tensor("x", [[1]])))
    infer = raw_infer(server.channel).future(infer_request("slow", slow_input(1)), timeout=30)  # type: ignore[attr-defined]
    for call in (ours, infer):
        call.result()
        assert server_timing(call)["batch"] == 2
    assert len(busy) == 2
    server.wait_until_idle()


def test_trailers_metrics_and_log_are_those_of_any_call(server: PredictdProcess) -> None:
    request = infer_request("linear", triton_input("x", numpy.ones((3, 64))), id="seen")
    before = server.metric("predictd_requests_total", method="ModelInfer", model="linear", code="OK")
    _, call = raw_infer(server.channel).with_call(request, timeout=30)  # type: ignore[attr-defined]
    timing = server_timing(call)
    assert {"decode", "queue", "forward", "total", "batch"} <= timing.keys()
    assert timing["batch"] == 3
    server.wait_until_idle()
    assert server.metric("predictd_requests_total", method="ModelInfer", model="linear", code="OK") == before + 1
    record = server.wait_for_log(has("request_id", "seen"))
    assert (record["method"], record["model"]) == ("ModelInfer", "linear")


def test_an_answer_from_the_cache_is_shared_by_both_protocols(tmp_path: Path, test_models: Path) -> None:
    folder = tmp_path / "models" / "linear"
    folder.mkdir(parents=True)
    (folder / "1").symlink_to(test_models / "linear" / "1")
    toml = (test_models / "linear" / "model.toml").read_text()
    (folder / "model.toml").write_text("response_cache_bytes = 1048576\n" + toml)
    x = numpy.ones((1, 64), dtype=numpy.float32)
    with PredictdProcess(folder.parent) as server:
        ours = to_arrays(server.client.predict(predict_request("linear", raw_tensor("x", x))))["y"]
        request = infer_request("linear", triton_input("x", x))
        answer, call = raw_infer(server.channel).with_call(request, timeout=30)  # type: ignore[attr-defined]
        assert answer.raw_output_contents[0] == ours.tobytes()
        assert trailer(call, "age") == "0"
        request.parameters["cache"].bool_param = False
        _, call = raw_infer(server.channel).with_call(request, timeout=30)  # type: ignore[attr-defined]
        assert trailer(call, "age") is None


# --- Time ---


@pytest.fixture(scope="module", name="narrow")
def fixture_narrow() -> Iterator[PredictdProcess]:
    """One worker."""
    with PredictdProcess(["slow", "strings"], flags=["--workers=1", "--loops=1"]) as server:
        yield server


def test_the_parameter_timeout_shortens_the_deadline(narrow: PredictdProcess) -> None:
    with triton_client(narrow) as client:
        started = time.monotonic()
        code, message = triton_error(lambda: client.infer("slow", [slow_input(3000)], timeout=100_000))
        assert code == "DEADLINE_EXCEEDED"
        assert "the batch" in message
        assert time.monotonic() - started < 2
        narrow.wait_for_metric("predictd_requests_running", 0, model="slow")
        assert client.infer("slow", [slow_input(1)], timeout=20_000_000).as_numpy("y").shape == (1, 1)


def test_the_parameter_timeout_counts_for_requests_that_a_worker_decodes(narrow: PredictdProcess) -> None:
    text = triton_input("text", numpy.array([b"a"] * 200_000, dtype=numpy.object_), "BYTES")
    with triton_client(narrow) as client:
        assert client.infer("strings", [text], timeout=20_000_000).as_numpy("length").sum() == 200_000
        assert triton_error(lambda: client.infer("strings", [text], timeout=1))[0] == "DEADLINE_EXCEEDED"


def test_the_clients_own_deadline_counts(narrow: PredictdProcess) -> None:
    with triton_client(narrow) as client:
        code, _ = triton_error(lambda: client.infer("slow", [slow_input(2000)], client_timeout=0.1))
        assert code == "DEADLINE_EXCEEDED"
        narrow.wait_for_metric("predictd_requests_running", 0, model="slow")


def test_a_cancelled_request_leaves_the_queue(narrow: PredictdProcess) -> None:
    with triton_client(narrow) as client:
        running = client.async_infer("slow", [slow_input(1000)], lambda result, error: None)
        narrow.wait_for_metric("predictd_requests_running", 1, model="slow")
        errors: list[object] = []
        ended = threading.Event()

        def on_end(result: object, error: object) -> None:
            errors.append(error)
            ended.set()

        waiting = client.async_infer("slow", [slow_input(5000)], on_end)
        narrow.wait_for_metric("predictd_queue_depth", 1, model="slow")
        waiting.cancel()
        assert ended.wait(10)
        assert "CANCELLED" in str(errors[0])
        narrow.wait_for_metric("predictd_queue_depth", 0, model="slow")
        running.cancel()
        narrow.wait_for_metric("predictd_requests_running", 0, model="slow")


def test_the_asynchronous_client_infers_at_the_same_time(server: PredictdProcess) -> None:
    async def infer_all() -> list[numpy.ndarray]:
        async with tritonclient.grpc.aio.InferenceServerClient(server.address) as client:
            assert await client.is_server_ready()
            answers = await asyncio.gather(
                *(client.infer("linear", [triton_input("x", numpy.full((1, 64), n))]) for n in range(20))
            )
            return [answer.as_numpy("y") for answer in answers]

    answers = asyncio.run(infer_all())
    for n, answer in enumerate(answers):
        expected = server.client.predict(
            predict_request("linear", raw_tensor("x", numpy.full((1, 64), n, dtype=numpy.float32)))
        )
        numpy.testing.assert_allclose(answer, to_arrays(expected)["y"], rtol=1e-4, atol=1e-5)


# --- Hostile messages ---


def test_damaged_messages_are_refused_and_end_nothing(server: PredictdProcess) -> None:
    infer = raw_infer(server.channel)
    text = numpy.array([b"some", b"text"], dtype=numpy.object_)
    for request in (
        infer_request("linear", triton_input("x", numpy.ones((4, 64)))),
        infer_request("strings", triton_input("text", text, "BYTES")),
    ):
        whole = request.SerializeToString()
        for length in {*range(1, min(len(whole), 60)), len(whole) - 1, len(whole) // 2}:
            error = rpc_error(partial(infer, whole[:length], timeout=30))
            assert error.code() in (CODE.INVALID_ARGUMENT, CODE.NOT_FOUND), (length, error.details())
    assert infer(infer_request("linear", triton_input("x", numpy.ones((1, 64)))), timeout=30).outputs


@pytest.mark.parametrize(
    "shape",
    [[2**40, 64], [-1, 64], [0, 64], [2**62, 2**62], [1, 64, 1], [2**63 - 1, 64], [64], [1] * 5000],
    ids=["many rows", "negative", "none", "overflow", "rank", "most", "too few", "many extents"],
)
def test_shapes_that_lie_are_refused(server: PredictdProcess, shape: list[int]) -> None:
    request = infer_request("linear", triton_input("x", numpy.ones((1, 64))))
    del request.inputs[0].shape[:]
    request.inputs[0].shape.extend(shape)
    error = rpc_error(lambda: raw_infer(server.channel)(request, timeout=30))
    assert error.code() == CODE.INVALID_ARGUMENT
    assert "shape" in error.details()
    assert server.running()
