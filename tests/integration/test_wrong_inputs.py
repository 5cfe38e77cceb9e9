"""Wrong requests: each gets the right code, the path of the wrong field, and words that help; none harms the server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from predictd_process import PredictdProcess
from protocol import (
    GET_MODEL,
    LIST_MODELS,
    PREDICT,
    PREDICT_STREAM,
    Client,
    GetModelRequest,
    Parameter,
    PredictRequest,
    PredictStreamRequest,
    Tensor,
    dtype,
    error_details,
    field_violations,
    float_tensor,
    predict_request,
    rpc_error,
    trailer,
)

INVALID = StatusCode.INVALID_ARGUMENT
INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
ROW = [0.5] * 64
FLOAT_MAX = 3.4028234663852886e38
# Of the model `types`, in the order of its inputs.
TYPE_WIDTHS = {
    "bool": 1,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "fp16": 2,
    "bf16": 2,
    "fp32": 4,
    "fp64": 8,
}


@dataclass(frozen=True)
class Wrong:
    """A wrong request and what it must be answered with: `fields` are the paths of BadRequest, all of them."""

    name: str
    request: Any
    says: tuple[str, ...]
    fields: tuple[str, ...] = ()
    code: StatusCode = INVALID


def linear(**tensor: Any) -> Any:
    """A request for `linear`, of one correct row but for what is given."""
    return predict_request("linear", Tensor(**{"name": "x", "float_values": ROW} | tensor))


def with_parameter(name: str = "output_encoding", **value: Any) -> Any:
    return predict_request("linear", float_tensor("x", [ROW]), parameters={name: Parameter(**value)})


def types(**wrong: Any) -> Any:
    """A request for `types`, of one correct row but for one input: int8_in={"int_values": [1, 2, 3]}."""
    correct = {f"{name}_in": {"raw": bytes(3 * width)} for name, width in TYPE_WIDTHS.items()}
    return predict_request("types", *(Tensor(name=name, **fields) for name, fields in (correct | wrong).items()))


def multi(ids: Any, scale: Any) -> Any:
    return predict_request("multi", Tensor(name="ids", **ids), Tensor(name="scale", **scale))


def fixed(a: Any, b: Any) -> Any:
    return predict_request("fixed", Tensor(name="a", **a), Tensor(name="b", **b))


ONE_SCALE = {"float_values": [1.0], "shape": [1, 1]}
A_MATRIX = {"float_values": [1.0] * 6}
X = "inputs[0]"

# fmt: off
# What both Predict and PredictStream refuse; for the latter the paths begin with "predict.".
WRONG_REQUESTS = [
    # The model.
    Wrong("empty request", PredictRequest(), ("model_name: expected the name of a model, got none",), ("model_name",)),
    Wrong("unknown model", predict_request("nobody"), ("no model 'nobody'", "digits"), code=StatusCode.NOT_FOUND),
    Wrong("model name in upper case", predict_request("LINEAR"), ("no model 'LINEAR'",), code=StatusCode.NOT_FOUND),
    Wrong("model name that is a path", predict_request("../linear"), ("no model",), code=StatusCode.NOT_FOUND),
    Wrong("model name with a line break", predict_request("a\nb"), ("no model",), code=StatusCode.NOT_FOUND),
    Wrong("model name of 64 KiB", predict_request("m" * 65536), ("no model 'mmm",), code=StatusCode.NOT_FOUND),
    Wrong("negative version", predict_request("linear", model_version=-1),
          ("model_version: expected 0 or a version, got -1",), ("model_version",)),
    Wrong("smallest version", predict_request("linear", model_version=INT64_MIN), (str(INT64_MIN),),
          ("model_version",)),
    Wrong("unknown version", predict_request("digits", model_version=3), ("no version 3", "2, 1"),
          code=StatusCode.NOT_FOUND),
    Wrong("no model and a negative version", PredictRequest(model_version=-2), ("(and 1 more)",),
          ("model_name", "model_version")),
    Wrong("a model that could not be loaded", predict_request("broken"), ("could not be loaded",),
          code=StatusCode.UNAVAILABLE),
    # Which inputs.
    Wrong("no inputs", predict_request("linear"), ("inputs: expected the input x, got none",), ("inputs",)),
    Wrong("unknown input", predict_request("linear", float_tensor("z", [ROW])), ("expected one of x, got 'z'",),
          ("inputs[0].name", "inputs")),
    Wrong("input without a name", predict_request("linear", Tensor(float_values=ROW)), ("expected one of x, got ''",),
          ("inputs[0].name", "inputs")),
    Wrong("an input that is not the model's beside the right one",
          predict_request("linear", float_tensor("x", [ROW]), float_tensor("y", [ROW])), ("got 'y'",),
          ("inputs[1].name",)),
    Wrong("duplicated input", predict_request("linear", float_tensor("x", [ROW]), float_tensor("x", [ROW])),
          ("expected each input once, got x again",), ("inputs[1].name",)),
    Wrong("one input missing of two", predict_request("multi", Tensor(name="ids", int64_values=[1], shape=[1, 1])),
          ("expected the input scale, got none",), ("inputs",)),
    Wrong("input name of 64 KiB in three-byte letters", predict_request("linear", float_tensor("ぱ" * 21845, [ROW])),
          ("expected one of x",), ("inputs[0].name", "inputs")),
    Wrong("a hundred unknown inputs", predict_request("linear", *(Tensor(name=f"i{i}") for i in range(100))),
          ("expected one of x", "more)"), tuple(f"inputs[{i}].name" for i in range(16))),
    # Element types.
    Wrong("wrong dtype", linear(dtype=dtype("INT64")), ("expected DATA_TYPE_FP32, got DATA_TYPE_INT64",),
          (f"{X}.dtype",)),
    Wrong("dtype of the right width", linear(dtype=dtype("INT32")), ("got DATA_TYPE_INT32",), (f"{X}.dtype",)),
    Wrong("unknown dtype", linear(dtype=99), ("expected DATA_TYPE_FP32, got the unknown type 99",), (f"{X}.dtype",)),
    Wrong("negative dtype", linear(dtype=-1), ("the unknown type -1",), (f"{X}.dtype",)),
    # Shapes.
    Wrong("rank too low", linear(shape=[64]), ("expected shape [-1,64], got [64]",), (f"{X}.shape",)),
    Wrong("rank too high", linear(shape=[1, 64, 1]), ("expected shape [-1,64], got [1,64,1]",), (f"{X}.shape",)),
    Wrong("second extent too small", linear(shape=[1, 63]), ("got [1,63]",), (f"{X}.shape",)),
    Wrong("second extent too large", linear(shape=[1, 65]), ("got [1,65]",), (f"{X}.shape",)),
    Wrong("transposed", linear(shape=[64, 1]), ("got [64,1]",), (f"{X}.shape",)),
    Wrong("digits: second extent", predict_request("digits", float_tensor("image", numpy.zeros((1, 2, 8, 8)))),
          ("expected shape [-1,1,8,8], got [1,2,8,8]",), (f"{X}.shape",)),
    Wrong("digits: third extent", predict_request("digits", float_tensor("image", numpy.zeros((1, 1, 7, 8)))),
          ("got [1,1,7,8]",), (f"{X}.shape",)),
    Wrong("digits: fourth extent", predict_request("digits", float_tensor("image", numpy.zeros((1, 1, 8, 9)))),
          ("got [1,1,8,9]",), (f"{X}.shape",)),
    Wrong("negative first extent", linear(shape=[-1, 64]), ("got [-1,64]",), (f"{X}.shape",)),
    Wrong("negative second extent", linear(shape=[1, -64]), ("got [1,-64]",), (f"{X}.shape",)),
    Wrong("two negative extents, whose product is right", linear(shape=[-1, -64]), ("got [-1,-64]",), (f"{X}.shape",)),
    Wrong("smallest extent", linear(shape=[INT64_MIN, 64]), (str(INT64_MIN),), (f"{X}.shape",)),
    Wrong("product that overflows to 0", multi({"shape": [2**62, 4]}, ONE_SCALE),
          (f"expected too many elements for shape [{2**62},4], got 0",), (f"{X}.shape",)),
    Wrong("product that overflows to 1", multi({"shape": [2**63 - 1, 2**63 - 1], "int64_values": [1]}, ONE_SCALE),
          ("expected too many elements", "got 1"), (f"{X}.shape",)),
    Wrong("largest extents", multi({"shape": [INT64_MAX, INT64_MAX]}, ONE_SCALE), ("too many",), (f"{X}.shape",)),
    Wrong("an exbibyte of elements that were not sent", multi({"shape": [2**30, 2**27]}, ONE_SCALE),
          (f"expected {2**57} elements", "got 0"), (f"{X}.shape",)),
    Wrong("rows without columns", multi({"shape": [2**62, 0]}, ONE_SCALE), ("with extents of at least 1",),
          (f"{X}.shape",)),
    Wrong("a column without rows", multi({"shape": [0, 1]}, ONE_SCALE), ("with extents of at least 1",),
          (f"{X}.shape",)),
    Wrong("no shape where two extents are open", multi({"int64_values": [1, 2]}, ONE_SCALE),
          ("expected a shape like [-1,-1], got none, and it leaves 2 dimensions open",), (f"{X}.shape",)),
    Wrong("no shape and elements of no whole row", linear(float_values=ROW[:63]),
          ("expected a multiple of 64 elements for shape [-1,64], got 63",), (f"{X}.shape",)),
    Wrong("a scalar with two elements", fixed(A_MATRIX, {"int64_values": [1, 2]}), ("expected 1 elements", "got 2"),
          ("inputs[1].shape",)),
    Wrong("a scalar with an extent", fixed(A_MATRIX, {"int64_values": [1], "shape": [1]}),
          ("expected shape [], got [1]",),
          ("inputs[1].shape",)),
    Wrong("no elements for a scalar", fixed(A_MATRIX, {}), ("got 0",), ("inputs[1].shape",)),
    Wrong("a fixed matrix with a row too many",
          fixed({"float_values": [1.0] * 9, "shape": [3, 3]}, {"int64_values": [1]}),
          ("expected shape [2,3], got [3,3]",), (f"{X}.shape",)),
    # How many elements.
    Wrong("an element too few", linear(float_values=ROW[:63], shape=[1, 64]), ("expected 64 elements", "got 63"),
          (f"{X}.shape",)),
    Wrong("an element too many", linear(float_values=[*ROW, 1.0], shape=[1, 64]), ("expected 64 elements", "got 65"),
          (f"{X}.shape",)),
    Wrong("no elements for a row", linear(float_values=[], shape=[1, 64]), ("expected 64 elements", "got 0"),
          (f"{X}.shape",)),
    Wrong("raw bytes of no whole element", linear(float_values=[], raw=bytes(257), shape=[1, 64]),
          ("expected a multiple of 4 bytes for FP32, got 257",), (f"{X}.raw",)),
    Wrong("raw bytes of an element too few", linear(float_values=[], raw=bytes(252), shape=[1, 64]),
          ("expected 64 elements", "got 63"), (f"{X}.shape",)),
    Wrong("raw bytes of twice the width", linear(float_values=[], raw=bytes(512), shape=[1, 64]),
          ("expected 64 elements", "got 128"), (f"{X}.shape",)),
    # Where the elements are.
    Wrong("raw and typed", linear(raw=bytes(256)), ("either here or in raw, got both",), (f"{X}.float_values",)),
    Wrong("raw and typed of another type", linear(float_values=[], int_values=[1], raw=bytes(256)), ("got both",),
          (f"{X}.int_values",)),
    Wrong("the field of another type", linear(float_values=[], double_values=ROW),
          ("expected the elements of FP32 in float_values or raw, got double_values",), (f"{X}.double_values",)),
    Wrong("the fields of two types", linear(double_values=ROW), ("got double_values",), (f"{X}.double_values",)),
    Wrong("integers in the field of wider ones", fixed(A_MATRIX, {"int_values": [1]}),
          ("expected the elements of INT64 in int64_values or raw, got int_values",), ("inputs[1].int_values",)),
    Wrong("bytes for numbers", linear(float_values=[], bytes_values=[b"1"] * 64), ("got bytes_values",),
          (f"{X}.bytes_values",)),
    Wrong("numbers for bytes", predict_request("strings", Tensor(name="text", int64_values=[1])),
          ("expected the elements of BYTES in bytes_values, string_values or raw, got int64_values",),
          (f"{X}.int64_values",)),
    Wrong("text for numbers", linear(float_values=[], string_values=["1"] * 64), ("got string_values",),
          (f"{X}.string_values",)),
    Wrong("bytes and text", predict_request("strings", Tensor(name="text", bytes_values=[b"a"], string_values=["b"])),
          ("expected elements either here or in bytes_values, got both",), (f"{X}.string_values",)),
    # Values.
    Wrong("INT8 above its range", types(int8_in={"int_values": [0, 127, 128]}),
          ("expected a value that INT8 can hold, got 128",), ("inputs[5].int_values[2]",)),
    Wrong("INT8 below its range", types(int8_in={"int_values": [-128, -129, 0]}), ("got -129",),
          ("inputs[5].int_values[1]",)),
    Wrong("INT16 above its range", types(int16_in={"int_values": [32768, 0, 0]}), ("INT16", "got 32768"),
          ("inputs[6].int_values[0]",)),
    Wrong("UINT8 above its range", types(uint8_in={"uint_values": [255, 256, 0]}), ("UINT8", "got 256"),
          ("inputs[1].uint_values[1]",)),
    Wrong("UINT16 above its range", types(uint16_in={"uint_values": [0, 0, 65536]}), ("UINT16", "got 65536"),
          ("inputs[2].uint_values[2]",)),
    Wrong("a BOOL byte of 2", types(bool_in={"raw": b"\0\1\2"}), ("expected 0 or 1 for each BOOL, got 2 at byte 2",),
          ("inputs[0].raw",)),
    Wrong("FP16 overflow", types(fp16_in={"float_values": [65504, 65520, 0]}), ("FP16", "got 65520"),
          ("inputs[9].float_values[1]",)),
    Wrong("FP16 negative overflow", types(fp16_in={"float_values": [-1e6, 0, 0]}), ("FP16",),
          ("inputs[9].float_values[0]",)),
    Wrong("BF16 overflow", types(bf16_in={"float_values": [0, 0, FLOAT_MAX]}), ("BF16",),
          ("inputs[10].float_values[2]",)),
    # BYTES.
    Wrong("raw BYTES that end within a length", predict_request("strings", Tensor(name="text", raw=b"\1\0\0\0a\1\0")),
          ("4-byte little-endian length",), (f"{X}.raw",)),
    Wrong("raw BYTES that end within an element", predict_request("strings", Tensor(name="text", raw=b"\5\0\0\0abc")),
          ("and that many bytes, got less",), (f"{X}.raw",)),
    Wrong("raw BYTES with a length of 4 GiB",
          predict_request("strings", Tensor(name="text", raw=b"\xff\xff\xff\xffabc")),
          ("got less",), (f"{X}.raw",)),
    Wrong("BYTES of another count than the shape's",
          predict_request("strings", Tensor(name="text", bytes_values=[b"a", b"b"], shape=[3])),
          ("expected 3 elements", "got 2"), (f"{X}.shape",)),
    # Rows.
    Wrong("no rows", linear(float_values=[], shape=[0, 64]), ("extents of at least 1, got [0,64]",), (f"{X}.shape",)),
    Wrong("no rows, without a shape", linear(float_values=[]), ("at least 64 elements", "got none"), (f"{X}.shape",)),
    Wrong("inputs of different numbers of rows",
          multi({"int64_values": [1, 2, 3], "shape": [3, 1]}, {"float_values": [1.0, 2.0], "shape": [2, 1]}),
          ("expected 3 rows as in ids, got 2",), ("inputs[1].shape",)),
    # Outputs, parameters, id.
    Wrong("unknown output", predict_request("linear", float_tensor("x", [ROW]), outputs=["y", "z"]),
          ("expected one of y, got 'z'",), ("outputs[1]",)),
    Wrong("output without a name", predict_request("linear", float_tensor("x", [ROW]), outputs=[""]), ("got ''",),
          ("outputs[0]",)),
    Wrong("duplicated output", predict_request("linear", float_tensor("x", [ROW]), outputs=["y", "y"]),
          ("expected each output once, got y again",), ("outputs[1]",)),
    Wrong("unknown parameter", with_parameter("temperature", double_value=0.5),
          ("expected cache, output_encoding, priority or traffic_key",), ('parameters["temperature"]',)),
    Wrong("parameter of the wrong type", with_parameter(int64_value=1), ("string_value",),
          ('parameters["output_encoding"]',)),
    Wrong("parameter of the wrong value", with_parameter(string_value="json"), ("typed", "raw"),
          ('parameters["output_encoding"]',)),
    Wrong("parameter without a value", with_parameter(), ("string_value",), ('parameters["output_encoding"]',)),
    Wrong("parameter name of 64 KiB", with_parameter("p" * 65536, bool_value=True),
          ("expected cache, output_encoding, priority or traffic_key",), (f'parameters["{"p" * 116}',)),
    Wrong("request id of 129 bytes", predict_request("linear", float_tensor("x", [ROW]), request_id="ä" * 64 + "x"),
          ("request_id: expected at most 128 bytes, got 129",), ("request_id",)),
    # Everything at once.
    Wrong("four fields at once",
          predict_request("linear", Tensor(name="x", dtype=dtype("INT8")), float_tensor("y", []), outputs=["x"],
                          request_id="i" * 200),
          ("(and 3 more)",), ("request_id", "inputs[0].dtype", "inputs[1].name", "outputs[0]")),
]


def stream(model_request: Any, **options: Any) -> Any:
    return PredictStreamRequest(predict=model_request, **options)


ONE_ROW = predict_request("linear", float_tensor("x", [ROW]))

WRONG_STREAMS = [
    Wrong("empty request", PredictStreamRequest(), ("expected the name of a model",), ("predict.model_name",)),
    Wrong("only options", PredictStreamRequest(chunk_rows=1), ("expected the name of a model",),
          ("predict.model_name",)),
    Wrong("negative chunk_rows", stream(ONE_ROW, chunk_rows=-1), ("chunk_rows: expected 0 to 64, got -1",),
          ("chunk_rows",)),
    Wrong("smallest chunk_rows", stream(ONE_ROW, chunk_rows=INT64_MIN), (str(INT64_MIN),), ("chunk_rows",)),
    Wrong("chunk_rows above the model's", stream(ONE_ROW, chunk_rows=65), ("expected 0 to 64, got 65",),
          ("chunk_rows",)),
    Wrong("largest chunk_rows", stream(ONE_ROW, chunk_rows=INT64_MAX), (str(INT64_MAX),), ("chunk_rows",)),
    Wrong("unknown on_error", stream(ONE_ROW, on_error=99), ("expected FAIL_FAST or PER_ITEM, got 99",), ("on_error",)),
    Wrong("wrong option and wrong input", stream(linear(shape=[1, 63]), on_error=-1), ("(and 1 more)",),
          ("predict.inputs[0].shape", "on_error")),
]

WRONG_UNARY = [
    Wrong("a row more than the model's maximum", predict_request("linear", float_tensor("x", [ROW] * 65)),
          ("expected 1 to 64 rows, got 65; PredictStream takes more",), (f"{X}.shape",)),
    Wrong("more rows than one model's maximum", predict_request("slow", float_tensor("x", [[0]] * 5)),
          ("expected 1 to 4 rows, got 5",), (f"{X}.shape",)),
]

# Bytes that are no message of the method's type, or one without what it must have.
NO_MESSAGE = ("not a valid",)
ROW_BYTES = ONE_ROW.SerializeToString()
WRONG_BYTES = [
    (PREDICT, Wrong("truncated", ROW_BYTES[:-1], NO_MESSAGE)),
    (PREDICT, Wrong("truncated within the first tag's length", ROW_BYTES[:1], NO_MESSAGE)),
    (PREDICT, Wrong("all ones", b"\xff" * 100, NO_MESSAGE)),
    (PREDICT, Wrong("text", b"GET / HTTP/1.1\r\n\r\n", NO_MESSAGE)),
    (PREDICT, Wrong("a length beyond the message", b"\x0a\x7flinear", NO_MESSAGE)),
    (PREDICT, Wrong("a length of 2 GiB", b"\x0a\xff\xff\xff\xff\x07linear", NO_MESSAGE)),
    (PREDICT, Wrong("the end of a group that never began", b"\x0c", NO_MESSAGE)),
    (PREDICT, Wrong("a field number of 0", b"\x02\x00", NO_MESSAGE)),
    (PREDICT, Wrong("a model name that is no UTF-8", b"\x0a\x02\xc3\x28", NO_MESSAGE)),
    (PREDICT, Wrong("a wrong wire type", b"\x08\x05" + ROW_BYTES[8:], ("expected the name of a model",),
                     ("model_name",))),
    (PREDICT, Wrong("nothing", b"", ("expected the name of a model",), ("model_name",))),
    (PREDICT_STREAM, Wrong("truncated", stream(ONE_ROW).SerializeToString()[:-1], NO_MESSAGE)),
    (PREDICT_STREAM, Wrong("a PredictRequest", ROW_BYTES, NO_MESSAGE)),
    (PREDICT_STREAM, Wrong("all ones", b"\xff" * 100, NO_MESSAGE)),
    (PREDICT_STREAM, Wrong("nothing", b"", ("expected the name of a model",), ("predict.model_name",))),
    (LIST_MODELS, Wrong("all ones", b"\xff" * 100, NO_MESSAGE)),
    (GET_MODEL, Wrong("all ones", b"\xff" * 100, NO_MESSAGE)),
    (GET_MODEL, Wrong("nothing", b"", ("expected the name of a model",), ("model_name",))),
    (GET_MODEL, Wrong("unknown model", GetModelRequest(model_name="nobody").SerializeToString(),
                      ("no model 'nobody'", "digits"), code=StatusCode.NOT_FOUND)),
    (GET_MODEL, Wrong("model name of 4,000 bytes", GetModelRequest(model_name="m" * 4000).SerializeToString(),
                      ("no model 'mmm",), code=StatusCode.NOT_FOUND)),
    (GET_MODEL, Wrong("model name of 64 KiB", GetModelRequest(model_name="m" * 65536).SerializeToString(),
                      ("at most 4096",), code=StatusCode.RESOURCE_EXHAUSTED)),
    (LIST_MODELS, Wrong("a request of 64 KiB", b"\x0a\x80\x80\x04" + b"m" * 65536, ("at most 4096",),
                        code=StatusCode.RESOURCE_EXHAUSTED)),
    ("/grpc.health.v1.Health/Check", Wrong("all ones", b"\xff" * 100, NO_MESSAGE)),
    ("/grpc.health.v1.Health/Check", Wrong("unknown service", b"\x0a\x06nobody", ("no service 'nobody'",),
                                           code=StatusCode.NOT_FOUND)),
    ("/grpc.health.v1.Health/Check", Wrong("service name of 64 KiB", b"\x0a\x80\x80\x04" + b"m" * 65536,
                                           ("at most 4096",), code=StatusCode.RESOURCE_EXHAUSTED)),
    ("/grpc.health.v1.Health/Watch", Wrong("all ones", b"\xff" * 100, NO_MESSAGE)),
    ("/predictd.v1.PredictionService/Explain", Wrong("unknown method", b"", (), code=StatusCode.UNIMPLEMENTED)),
    ("/predictd.v2.PredictionService/Predict", Wrong("unknown service", b"", (), code=StatusCode.UNIMPLEMENTED)),
]

# fmt: on

# What only the server's own people should see.
INTERNALS = re.compile(
    r"torch|c10|at::|std::|::|\.cc\b|\.h\b|\.pt|\.toml|/\w+/\w+/|0x[0-9a-f]{5,}"
    r"|what\(\)|exception|traceback|Tensor\(|null",
    re.IGNORECASE,
)


def check_error(error: grpc.RpcError, wrong: Wrong, prefix: str = "") -> None:
    details = error_details(error)
    violations = field_violations(error)
    assert error.code() == wrong.code, error.details()
    # Paths are cut, too.
    assert set(violations) == {(prefix + path)[:128] for path in wrong.fields}
    for words in wrong.says:
        assert words in error.details()
    if wrong.fields:
        assert wrong.code == INVALID
        # For who looks at one field, or at the message alone.
        first_path, first_description = next(iter(violations.items()))
        assert error.details().startswith(f"{first_path}: {first_description}")
        assert all(violations.values())
    if details.details:
        assert (details.code, details.message) == (wrong.code.value[0], error.details())
    # A model that failed is named with the reason, which is about its files.
    if "could not be loaded" in (error.details() or ""):
        return
    for text in (error.details(), *violations, *violations.values()):
        assert not INTERNALS.search(text.replace("predictd.v1.", "").replace("grpc.health.v1.", "")), text


def named(cases: list[Wrong]) -> list[Any]:
    return [pytest.param(case, id=case.name.replace(" ", "_")) for case in cases]


@pytest.mark.parametrize("wrong", named(WRONG_REQUESTS + WRONG_UNARY))
def test_predict_refuses(client: Client, wrong: Wrong) -> None:
    error = rpc_error(lambda: client.predict(wrong.request))
    check_error(error, wrong)
    assert "total;dur=" in (trailer(error, "server-timing") or "")


@pytest.mark.parametrize("wrong", named(WRONG_REQUESTS))
def test_predict_stream_refuses(client: Client, wrong: Wrong) -> None:
    error = rpc_error(lambda: list(client.predict_stream(stream(wrong.request))))
    check_error(error, wrong_in_stream(wrong), "predict.")


def wrong_in_stream(wrong: Wrong) -> Wrong:
    """The messages name paths too."""
    says = tuple(words if not re.match(r"\w+: ", words) else f"predict.{words}" for words in wrong.says)
    return Wrong(wrong.name, wrong.request, says, wrong.fields, wrong.code)


@pytest.mark.parametrize("wrong", named(WRONG_STREAMS))
def test_predict_stream_refuses_its_own_fields(client: Client, wrong: Wrong) -> None:
    check_error(rpc_error(lambda: list(client.predict_stream(wrong.request))), wrong)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        pytest.param(method, case, id=f"{method.rpartition('/')[2]}-{case.name}".replace(" ", "_"))
        for method, case in WRONG_BYTES
    ],
)
def test_wrong_bytes_are_refused(server: PredictdProcess, method: str, wrong: Wrong) -> None:
    check_error(rpc_error(call_with_bytes(server.channel, method, wrong.request)), wrong)


def call_with_bytes(channel: grpc.Channel, method: str, request: bytes) -> Callable[[], Any]:
    if method in (PREDICT_STREAM, "/grpc.health.v1.Health/Watch"):
        return lambda: list(channel.unary_stream(method)(request, timeout=30))
    return lambda: channel.unary_unary(method)(request, timeout=30)


def test_all_of_them_at_once_leave_the_server_answering_and_no_counter_behind(server: PredictdProcess) -> None:
    server.wait_until_idle()
    wrong_requests = WRONG_REQUESTS + WRONG_UNARY
    refused_before = server.metric("predictd_requests_total", method="Predict") - answered(server)
    answered_before = answered(server)
    client = server.client
    alone = client.predict(ONE_ROW).outputs[0].float_values
    answered_before += 1

    futures = [(wrong, client.predict_future(wrong.request)) for wrong in wrong_requests for _ in range(4)]
    correct = [client.predict_future(ONE_ROW) for _ in range(20)]
    for wrong, future in futures:
        assert future.exception().code() == wrong.code, wrong.name
    for future in correct:
        numpy.testing.assert_allclose(future.result().outputs[0].float_values, alone, atol=1e-6)

    server.wait_until_idle()
    assert answered(server) == answered_before + len(correct)
    refused = server.metric("predictd_requests_total", method="Predict") - answered(server)
    assert refused == refused_before + len(futures)
    health = health_pb2_grpc.HealthStub(server.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING


def answered(server: PredictdProcess) -> float:
    return server.metric("predictd_requests_total", method="Predict", code="OK")


def test_the_answer_to_a_request_full_of_errors_fits_into_the_trailers(client: Client) -> None:
    wrong = predict_request("types", *(Tensor(name="ぱ" * 100 + str(i)) for i in range(60)), outputs=["é" * 500] * 60)
    error = rpc_error(lambda: client.predict(wrong))
    assert error.code() == INVALID
    violations = field_violations(error)
    assert len(violations) >= 8
    assert all(re.fullmatch(r"inputs\[\d+\]\.name", path) for path in violations)


def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    too_large = predict_request("linear", float_tensor("x", [ROW]), request_id="i" * 5000)
    with PredictdProcess(["linear"], flags=["--max-message-bytes=4KiB"]) as server:
        error = rpc_error(lambda: server.client.predict(too_large))
        assert error.code() == StatusCode.RESOURCE_EXHAUSTED
        assert "max" in error.details()
        assert "4096" in error.details()
        # Packed, it is small; but nothing packed is read.
        packed = server.channel.unary_unary(PREDICT)
        error = rpc_error(lambda: packed(too_large.SerializeToString(), compression=grpc.Compression.Gzip, timeout=30))
        assert error.code() == StatusCode.UNIMPLEMENTED
        assert len(server.client.predict(ONE_ROW).outputs) == 1
        server.wait_until_idle()
