"""The messages of predictd's protocol, made at run time from proto/, and what the tests need to build and read them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import google.rpc
import grpc
import numpy
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2

ROOT = Path(__file__).resolve().parents[2]
OWN_PROTOS = ("tensor", "generation", "prediction_service", "model_service")
METADATA = Sequence[tuple[str, str | bytes]]


def _load_protos() -> descriptor_pool.DescriptorPool:
    """Adds our files to the default pool, which has google.rpc already."""
    pool = descriptor_pool.Default()
    site_packages = Path(next(iter(google.rpc.__path__))).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "protos.binpb")
        command: list[str | Path] = ["protoc", "-I", ROOT / "proto", "-I", site_packages, f"--descriptor_set_out={out}"]
        subprocess.run([*command, *(f"predictd/v1/{name}.proto" for name in OWN_PROTOS)], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    # Each after what it imports.
    for file in sorted(files.file, key=lambda file: len(file.dependency)):
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load_protos()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"predictd.v1.{name}"))


Tensor = _message("Tensor")
Parameter = _message("Parameter")
PredictRequest = _message("PredictRequest")
PredictResponse = _message("PredictResponse")
GenerationRequest = _message("GenerationRequest")
Chat = _message("Chat")
ChatMessage = _message("ChatMessage")
TokenIds = _message("TokenIds")
PredictStreamRequest = _message("PredictStreamRequest")
PredictStreamResponse = _message("PredictStreamResponse")
ListModelsRequest = _message("ListModelsRequest")
ListModelsResponse = _message("ListModelsResponse")
GetModelRequest = _message("GetModelRequest")
GetModelResponse = _message("GetModelResponse")
TrafficSplit = _message("TrafficSplit")
DataType = _POOL.FindEnumTypeByName("predictd.v1.DataType")
ModelState = _POOL.FindEnumTypeByName("predictd.v1.ModelState")

FAIL_FAST = 1
PER_ITEM = 2

PREDICT = "/predictd.v1.PredictionService/Predict"
PREDICT_STREAM = "/predictd.v1.PredictionService/PredictStream"
MODEL_SERVICE = "/predictd.v1.ModelService/"
LIST_MODELS = f"{MODEL_SERVICE}ListModels"
GET_MODEL = f"{MODEL_SERVICE}GetModel"


def dtype(name: str) -> int:
    """The number of DATA_TYPE_<name>."""
    return DataType.values_by_name[f"DATA_TYPE_{name}"].number


def state_name(number: int) -> str:
    """READY for MODEL_STATE_READY's number."""
    return ModelState.values_by_number[number].name.removeprefix("MODEL_STATE_")


class Client:
    """The protocol's calls on one channel. A request may be a message or bytes that are sent as they are."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self._predict = channel.unary_unary(PREDICT, _serialize, PredictResponse.FromString)
        self._predict_stream = channel.unary_stream(PREDICT_STREAM, _serialize, PredictStreamResponse.FromString)
        self._list_models = channel.unary_unary(LIST_MODELS, _serialize, ListModelsResponse.FromString)
        self._get_model = channel.unary_unary(GET_MODEL, _serialize, GetModelResponse.FromString)
        self._watch_models = channel.unary_stream(
            f"{MODEL_SERVICE}WatchModels", _serialize, _message("WatchModelsResponse").FromString
        )

    def predict(self, request: Any, timeout: float | None = 30, metadata: METADATA = ()) -> Any:
        return self._predict(request, timeout=timeout, metadata=metadata)

    def predict_with_call(self, request: Any, timeout: float | None = 30, metadata: METADATA = ()) -> tuple[Any, Any]:
        """The answer, and the call with its trailers."""
        return self._predict.with_call(request, timeout=timeout, metadata=metadata)

    def predict_future(self, request: Any, timeout: float | None = 30, metadata: METADATA = ()) -> Any:
        return self._predict.future(request, timeout=timeout, metadata=metadata)

    def predict_stream(self, request: Any, timeout: float | None = 30, metadata: METADATA = ()) -> Any:
        return self._predict_stream(request, timeout=timeout, metadata=metadata)

    def list_models(self, page_size: int = 0, page_token: str = "", timeout: float | None = 30) -> Any:
        return self._list_models(ListModelsRequest(page_size=page_size, page_token=page_token), timeout=timeout)

    def get_model(self, name: str, version: int = 0, timeout: float | None = 30) -> Any:
        return self._get_model(GetModelRequest(model_name=name, model_version=version), timeout=timeout)

    def watch_models(self, name: str = "", timeout: float | None = 30) -> Any:
        return self._watch_models(_message("WatchModelsRequest")(model_name=name), timeout=timeout)

    def load_model(self, name: str, timeout: float | None = 60) -> Any:
        return self._control("LoadModel", timeout, model_name=name)

    def unload_model(self, name: str, timeout: float | None = 60) -> Any:
        return self._control("UnloadModel", timeout, model_name=name)

    def reload_model(self, name: str, timeout: float | None = 60) -> Any:
        return self._control("ReloadModel", timeout, model_name=name)

    def set_traffic_split(self, name: str, traffic: Any = None, timeout: float | None = 60) -> Any:
        return self._control("SetTrafficSplit", timeout, model_name=name, traffic=traffic)

    def _control(self, method: str, timeout: float | None, **fields: Any) -> Any:
        answer = _message(f"{method}Response").FromString
        call = self.channel.unary_unary(f"{MODEL_SERVICE}{method}", _serialize, answer)
        return call(_message(f"{method}Request")(**fields), timeout=timeout)


def _serialize(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def error_details(error: grpc.RpcError) -> status_pb2.Status:
    """The google.rpc.Status of an error; an empty one if the error carries none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    return status_pb2.Status()


def unpack(status: status_pb2.Status, kind: Any) -> list[Any]:
    """The details of one kind, say error_details_pb2.RetryInfo."""
    found = []
    for detail in status.details:
        message = kind()
        if detail.Unpack(message):
            found.append(message)
    return found


def field_violations(error: grpc.RpcError) -> dict[str, str]:
    """What BadRequest says: descriptions by field path."""
    requests = unpack(error_details(error), error_details_pb2.BadRequest)
    return {violation.field: violation.description for request in requests for violation in request.field_violations}


def trailer(call: Any, name: str) -> str | None:
    """The value of a trailer of a call or an error."""
    for key, value in call.trailing_metadata() or ():
        if key == name:
            return value
    return None


def server_timing(call: Any) -> dict[str, float]:
    """The trailer's durations in milliseconds, and the rows of the batch."""
    text = trailer(call, "server-timing")
    assert text is not None
    timing = {}
    for entry in text.split(", "):
        found = re.fullmatch(r'(\w+);(?:dur=(\d+\.\d+)|desc="(\d+)")', entry)
        assert found, text
        timing[found[1]] = float(found[2] or found[3])
    return timing


_NUMPY_TYPES = (
    "BOOL:? UINT8:u1 UINT16:u2 UINT32:u4 UINT64:u8 INT8:i1 INT16:i2 INT32:i4 INT64:i8 FP16:f2 BF16:u2 FP32:f4 FP64:f8"
)
NUMPY_TYPES = dict(entry.split(":") for entry in _NUMPY_TYPES.split())


def to_array(tensor: Any) -> numpy.ndarray:
    """The elements of a tensor in the raw encoding, in its shape; BF16, which numpy has not, as float32."""
    name = DataType.values_by_number[tensor.dtype].name.removeprefix("DATA_TYPE_")
    array = numpy.frombuffer(tensor.raw, dtype=NUMPY_TYPES[name]).reshape(tensor.shape)
    return (array.astype("u4") << 16).view("f4") if name == "BF16" else array


def to_arrays(answer: Any) -> dict[str, numpy.ndarray]:
    """The outputs of an answer in the raw encoding, by name."""
    return {tensor.name: to_array(tensor) for tensor in answer.outputs}


def raw_tensor(name: str, array: numpy.ndarray, **fields: Any) -> Any:
    """A tensor in the raw encoding, with the array's shape."""
    return Tensor(name=name, shape=array.shape, raw=numpy.ascontiguousarray(array).tobytes(), **fields)


def float_tensor(name: str, values: Any, **fields: Any) -> Any:
    """A tensor in the typed encoding, FP32, with the values' shape."""
    array = numpy.asarray(values, dtype=numpy.float32)
    return Tensor(name=name, shape=array.shape, float_values=array.reshape(-1), **fields)


def predict_request(model: str, *inputs: Any, **fields: Any) -> Any:
    return PredictRequest(model_name=model, inputs=inputs, **fields)


def slow_request(milliseconds: float, rows: int = 1, **fields: Any) -> Any:
    """Keeps a worker busy for about that long (model `slow`)."""
    return predict_request("slow", float_tensor("x", [[milliseconds]] * rows), **fields)


def collect(stream: Iterable[Any]) -> dict[str, list[Any]]:
    """The events of a stream by kind: start, rows, summary."""
    events: dict[str, list[Any]] = {"start": [], "rows": [], "summary": []}
    for event in stream:
        kind = event.WhichOneof("event")
        events[kind].append(getattr(event, kind))
    return events


def rpc_error(call: Callable[[], Any]) -> grpc.RpcError:
    """The error that a call must end with."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"expected an error, got {answer}")
