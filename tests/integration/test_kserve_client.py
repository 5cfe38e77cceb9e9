"""The Open Inference Protocol as the gRPC client of KServe's SDK speaks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import ml_dtypes
import numpy
import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import service_pb2

from kserve_sdk import DESCRIPTOR, InferenceGRPCClient, InferInput, InferOutput, InferRequest, RequestedOutput
from open_inference import TYPES
from predictd_process import PredictdProcess, has
from protocol import predict_request, raw_tensor, to_arrays
from test_open_inference_models import flatten

CODE = grpc.StatusCode


def with_client(server: PredictdProcess, use: Callable[[InferenceGRPCClient], Awaitable[Any]], **options: Any) -> Any:
    """What `use` returns. The client is asynchronous, and belongs to the event loop that it was made in."""

    async def connect() -> Any:
        async with InferenceGRPCClient(server.address, **options) as client:
            return await use(client)

    return asyncio.run(connect())


def kserve_input(name: str, array: Any, datatype: str = "FP32", raw: bool = True) -> InferInput:
    array = numpy.asarray(array, dtype=TYPES.get(datatype, numpy.object_))
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=raw)
    return made


def infer(server: PredictdProcess, request: InferRequest, **options: Any) -> dict[str, InferOutput]:
    """The outputs by name."""
    response = with_client(server, lambda client: client.infer(request, **options))
    return {output.name: output for output in response.outputs}


def error_of(server: PredictdProcess, request: InferRequest, **options: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        infer(server, request, **options)
    return caught.value


def test_names_and_numbers_are_those_of_the_sdk() -> None:
    """For the calls that its client makes; those that load models have other messages in its server than in Triton."""
    ours, theirs = descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(ours)  # Another test holds our files to these.
    DESCRIPTOR.CopyToProto(theirs)
    flat = {name: found for name, found in flatten([theirs]).items() if ".RepositoryModel" not in name}
    assert {".inference.GRPCInferenceService.ModelInfer", ".inference.InferTensorContents.fp32_contents"} <= flat.keys()
    assert flat.items() <= flatten([ours]).items()


def test_server_and_models_say_whether_they_are_ready(server: PredictdProcess) -> None:
    async def ask(client: InferenceGRPCClient) -> list[bool]:
        return [
            await client.is_server_live(),
            await client.is_server_ready(),
            await client.is_model_ready("linear"),
            await client.is_model_ready("broken"),
            await client.is_model_ready("nobody"),
        ]

    assert with_client(server, ask) == [True, True, True, False, False]


def test_metadata_of_a_call_arrives(server: PredictdProcess) -> None:
    """The SDK's word for gRPC's metadata is headers; those of a trace are in the log's line of the call."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = (("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),)
    request = InferRequest("linear", [kserve_input("x", numpy.ones((1, 64)))], request_id="traced by kserve")
    infer(server, request, headers=headers)
    record = server.wait_for_log(has("request_id", "traced by kserve"))
    assert (record["method"], record["model"], record["trace_id"]) == ("ModelInfer", "linear", trace)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_numbers_go_in_and_out(server: PredictdProcess, raw: bool) -> None:
    x = numpy.linspace(-1, 1, 128, dtype=numpy.float32).reshape(2, 64)
    request = InferRequest("linear", [kserve_input("x", x, raw=raw)], request_id="mine", model_version="1")
    response = with_client(server, lambda client: client.infer(request))
    assert (response.id, response.model_name, response.model_version) == ("mine", "linear", "1")
    assert not response.parameters, "binary_data_size is understood"
    expected = to_arrays(server.client.predict(predict_request("linear", raw_tensor("x", x))))["y"]
    numpy.testing.assert_array_equal(response.outputs[0].as_numpy(), expected)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_strings_go_in_and_out(server: PredictdProcess, raw: bool) -> None:
    text = ["", "gr\u00fc\u00df dich", "x" * 1000]
    encoded = [element.encode() for element in text]
    outputs = infer(server, InferRequest("strings", [kserve_input("text", encoded, "BYTES", raw)]))
    assert outputs["length"].as_numpy().tolist() == [len(element) for element in encoded]
    assert outputs["upper"].as_numpy().shape == (3,)


def test_every_type_of_the_sdk_goes_in_and_out(server: PredictdProcess) -> None:
    """FP16 among them. The model also wants BF16, which the SDK sends only as bytes, and cannot read."""
    arrays = {name: numpy.array([[0, 1, 1], [1, 0, 1]]).astype(dtype) for name, dtype in TYPES.items()}
    bf16 = InferInput("bf16_in", [2, 3], "BF16")
    bf16._raw_data = arrays.pop("BF16").astype(ml_dtypes.bfloat16).tobytes()
    inputs = [kserve_input(f"{name.lower()}_in", array, name) for name, array in arrays.items()]
    wanted = [RequestedOutput(f"{name.lower()}_out") for name in arrays]
    outputs = infer(server, InferRequest("types", [*inputs, bf16], request_outputs=wanted))
    for name, array in arrays.items():
        out = outputs[f"{name.lower()}_out"].as_numpy()
        assert out.dtype == array.dtype
        numpy.testing.assert_array_equal(out, array)


def test_outputs_come_as_they_are_asked_for(server: PredictdProcess) -> None:
    image = kserve_input("image", numpy.zeros((1, 1, 8, 8)))
    request = InferRequest("digits", [image], request_outputs=[RequestedOutput("label")])
    assert infer(server, request).keys() == {"label"}


def test_parameters_are_taken(server: PredictdProcess) -> None:
    request = InferRequest("linear", [kserve_input("x", numpy.ones((1, 64)))], parameters={"priority": 1, "mine": "a"})
    response = with_client(server, lambda client: client.infer(request))
    assert response.parameters["ignored_parameters"].string_param == "mine"


def test_errors_have_their_codes(server: PredictdProcess) -> None:
    x = kserve_input("x", numpy.ones((1, 64)))
    unknown = error_of(server, InferRequest("nobody", [x]))
    assert unknown.code() == CODE.NOT_FOUND
    assert "nobody" in unknown.details()
    wrong = error_of(server, InferRequest("linear", [kserve_input("x", numpy.ones((1, 63)))]))
    assert (wrong.code(), wrong.details().partition(":")[0]) == (CODE.INVALID_ARGUMENT, "inputs[0].shape")
    version = error_of(server, InferRequest("linear", [x], model_version="77"))
    assert version.code() == CODE.NOT_FOUND


def test_a_failed_call_is_not_sent_again(server: PredictdProcess) -> None:
    """The SDK's own policy sends a call up to three times that ends with UNAVAILABLE; the server asks it not to."""
    before = server.metric("predictd_requests_total", method="ModelInfer", model="broken")
    error = error_of(server, InferRequest("broken", [kserve_input("x", numpy.ones((1, 64)))]))
    assert error.code() == CODE.UNAVAILABLE
    server.wait_until_idle()
    assert server.metric("predictd_requests_total", method="ModelInfer", model="broken") == before + 1


def test_the_timeout_ends_the_work(server: PredictdProcess) -> None:
    request = InferRequest("slow", [kserve_input("x", [[3000]])])
    started = time.monotonic()
    assert error_of(server, request, timeout=0.2).code() == CODE.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 2
    server.wait_for_metric("predictd_requests_running", 0, model="slow")
    assert infer(server, InferRequest("slow", [kserve_input("x", [[1]])]), timeout=20)["y"].as_numpy().shape == (1, 1)
