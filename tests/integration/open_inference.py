"""What the tests of the Open Inference Protocol need beside tritonclient, which is the protocol's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import ml_dtypes
import numpy
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2
from tritonclient.utils import InferenceServerException

from predictd_process import PredictdProcess

METHOD = "/inference.GRPCInferenceService/"
# By the protocol's names. BYTES are objects in NumPy.
TYPES: dict[str, Any] = {
    "BOOL": numpy.bool_,
    "UINT8": numpy.uint8,
    "UINT16": numpy.uint16,
    "UINT32": numpy.uint32,
    "UINT64": numpy.uint64,
    "INT8": numpy.int8,
    "INT16": numpy.int16,
    "INT32": numpy.int32,
    "INT64": numpy.int64,
    "FP16": numpy.float16,
    "BF16": ml_dtypes.bfloat16,
    "FP32": numpy.float32,
    "FP64": numpy.float64,
}
# The field of InferTensorContents that has the elements of a type.
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@contextmanager
def triton_client(server: PredictdProcess) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.address) as client:
        yield client


def triton_input(name: str, array: Any, datatype: str = "FP32") -> InferInput:
    """An input with raw contents."""
    array = numpy.asarray(array, dtype=TYPES.get(datatype, numpy.object_))
    return InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)


def slow_input(milliseconds: float, rows: int = 1) -> InferInput:
    """Keeps a worker busy for about that long (model `slow`)."""
    return triton_input("x", [[milliseconds]] * rows)


def outputs(*names: str) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name) for name in names]


def triton_error(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and message of the error that a call must end with."""
    try:
        answer = call()
    except InferenceServerException as error:
        return (error.status() or "").removeprefix("StatusCode."), error.message()
    raise AssertionError(f"expected an error, got {answer}")


def infer_request(model: str, *inputs: InferInput, **fields: Any) -> Any:
    """The message of a ModelInferRequest, for what the client does not let one send."""
    request = service_pb2.ModelInferRequest(model_name=model, **fields)
    for tensor in inputs:
        request.inputs.append(tensor._get_tensor())
        request.raw_input_contents.append(tensor._get_content())
    return request


def raw_infer(channel: grpc.Channel) -> Callable[..., Any]:
    """ModelInfer as a call of gRPC. A request may be a message or bytes that are sent as they are."""
    method: Callable[..., Any] = channel.unary_unary(
        METHOD + "ModelInfer",
        lambda request: request if isinstance(request, bytes) else request.SerializeToString(),
        service_pb2.ModelInferResponse.FromString,
    )
    return method
