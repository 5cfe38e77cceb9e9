"""What the tests of the Open Inference Protocol need beside tritonclient, which is the protocol's own client."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

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


def text_inputs(text: bytes | str, sampling: Mapping[str, object] | None = None, **flags: bool) -> list[InferInput]:
    """Those of a generator."""
    inputs = [triton_input("text_input", [text], "BYTES")]
    if sampling is not None:
        inputs.append(triton_input("sampling_parameters", [json.dumps(sampling)], "BYTES"))
    return inputs + [triton_input(name, [flag], "BOOL") for name, flag in flags.items()]


def text_of(answer: object) -> list[str]:
    """The output of a generator."""
    array = answer.as_numpy("text_output")  # type: ignore[attr-defined]
    assert len(array.shape) == 1
    return [text.decode() for text in array]


def is_final(result: Any) -> bool:
    """Whether an answer on a stream is the last one to its request."""
    return bool(result.get_response().parameters["triton_final_response"].bool_param)


class TritonStream:
    """A ModelStreamInfer of tritonclient, which keeps what came, in the order in which it came. Leaving it waits for
    what is still to come."""

    def __init__(self, server: PredictdProcess) -> None:
        self._client = InferenceServerClient(server.address)
        self._changed = threading.Condition()
        self._answers: list[tuple[Any, InferenceServerException | None]] = []

    def __enter__(self) -> Self:
        self._client.start_stream(self._on_answer)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._client.stop_stream(cancel_requests=kind is not None)
        self._client.close()

    def _on_answer(self, result: Any, error: InferenceServerException | None) -> None:
        with self._changed:
            self._answers.append((result, error))
            self._changed.notify_all()

    def infer(self, model: str, inputs: list[InferInput], request_id: str = "", **fields: Any) -> None:
        self._client.async_stream_infer(model, inputs, request_id=request_id, **fields)

    def cancel(self) -> None:
        self._client.stop_stream(cancel_requests=True)

    def wait(self, count: int, timeout: float = 30) -> list[tuple[Any, InferenceServerException | None]]:
        """Waits for so many answers; returns them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._answers) >= count, timeout), self._answers
            return self._answers[:count]

    def results(self, count: int) -> list[Any]:
        """The same for answers without an error."""
        answers = self.wait(count)
        assert [error for _, error in answers if error] == []
        return [result for result, _ in answers]

    def answers_to(self, request_id: str, timeout: float = 30) -> list[Any]:
        """Waits for the last answer to a request; returns all."""

        def of_request() -> list[Any]:
            return [result for result, _ in self._answers if result and result.get_response().id == request_id]

        with self._changed:
            ended = self._changed.wait_for(lambda: any(map(is_final, of_request())), timeout)
            assert ended, self._answers
            return of_request()


class RawStream:
    """A ModelStreamInfer as a call of gRPC. A request may be a message or bytes that are sent as they are."""

    def __init__(self, channel: grpc.Channel, timeout: float | None = 30, metadata: Any = ()) -> None:
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        method = channel.stream_stream(
            METHOD + "ModelStreamInfer",
            lambda request: request if isinstance(request, bytes) else request.SerializeToString(),
            service_pb2.ModelStreamInferResponse.FromString,
        )
        self.call = method(iter(self._requests.get, None), timeout=timeout, metadata=metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.call.cancel()
        self._requests.put(None)

    def send(self, *requests: Any) -> None:
        for request in requests:
            self._requests.put(request)

    def end(self) -> None:
        """Says that no request follows."""
        self._requests.put(None)

    def read(self) -> Any:
        return next(self.call)

    def exchange(self, request: Any) -> Any:
        self.send(request)
        return self.read()
