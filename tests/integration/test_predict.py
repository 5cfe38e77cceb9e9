"""Predict gives the right answers: every type and encoding, every kind of model."""

from __future__ import annotations

import json
import re
import struct
from functools import partial
from typing import Any

import grpc
import numpy
import pytest

from predictd_process import DEMO_MODELS, PredictdProcess, has
from protocol import (
    PREDICT,
    Client,
    Parameter,
    PredictResponse,
    Tensor,
    dtype,
    error_details,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    server_timing,
    slow_request,
)
from raw_http2 import DATA, RawHttp2, encode_call, encode_message

HELD_OUT = DEMO_MODELS / "digits" / "heldout"
NAN = float("nan")
INF = float("inf")

# Two rows of three for each dtype of the model `types`: typed values that the type holds exactly, and their bytes.
# FP16 and BF16: the largest, the smallest normal and the smallest denormal number are among them.
EXACT: dict[str, tuple[str, list[Any], str]] = {
    "BOOL": ("bool_values", [True, False, True, True, False, False], "<6?"),
    "UINT8": ("uint_values", [0, 1, 127, 128, 254, 255], "<6B"),
    "UINT16": ("uint_values", [0, 1, 255, 256, 32768, 65535], "<6H"),
    "UINT32": ("uint_values", [0, 1, 65536, 2**31 - 1, 2**31, 2**32 - 1], "<6I"),
    "UINT64": ("uint64_values", [0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1], "<6Q"),
    "INT8": ("int_values", [0, 1, -1, 127, -127, -128], "<6b"),
    "INT16": ("int_values", [0, 1, -1, 32767, -32767, -32768], "<6h"),
    "INT32": ("int_values", [0, 1, -1, 2**31 - 1, 1 - 2**31, -(2**31)], "<6i"),
    "INT64": ("int64_values", [0, 2**53 + 1, -1, 2**63 - 1, 1 - 2**63, -(2**63)], "<6q"),
    "FP16": ("float_values", [0.0, -0.5, 65504.0, 2.0**-14, 2.0**-24, -INF], "<6e"),
    "BF16": ("float_values", [0.0, -0.5, 2.0**127 * (2 - 2.0**-7), 2.0**-126, 2.0**-133, INF], "bf16"),
    "FP32": ("float_values", [-0.0, 1 + 2.0**-23, 3.4028234663852886e38, 2.0**-126, 2.0**-149, INF], "<6f"),
    "FP64": ("double_values", [-0.0, 1 / 3, 1.7976931348623157e308, 2.0**-1022, 5e-324, -INF], "<6d"),
}


def to_bytes(values: list[Any], layout: str) -> bytes:
    if layout == "bf16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    return struct.pack(layout, *values)


def typed_inputs() -> list[Any]:
    return [
        Tensor(name=f"{name.lower()}_in", dtype=dtype(name), shape=[2, 3], **{field: values})
        for name, (field, values, _) in EXACT.items()
    ]


def raw_inputs() -> list[Any]:
    return [
        Tensor(name=f"{name.lower()}_in", dtype=dtype(name), shape=[2, 3], raw=to_bytes(values, layout))
        for name, (_, values, layout) in EXACT.items()
    ]


def named_as_outputs(inputs: list[Any]) -> list[Any]:
    outputs = []
    for tensor in inputs:
        output = Tensor()
        output.CopyFrom(tensor)
        output.name = tensor.name.replace("_in", "_out")
        outputs.append(output)
    return outputs


# --- Types and encodings ---


def test_typed_values_of_every_type_come_back_typed_and_exact(client: Client) -> None:
    answer = client.predict(predict_request("types", *typed_inputs()))
    assert list(answer.outputs) == named_as_outputs(typed_inputs())


def test_raw_values_of_every_type_come_back_raw_and_exact(client: Client) -> None:
    answer = client.predict(predict_request("types", *raw_inputs()))
    assert list(answer.outputs) == named_as_outputs(raw_inputs())


@pytest.mark.parametrize(("inputs", "encoding"), [(typed_inputs, "raw"), (raw_inputs, "typed")])
def test_output_encoding_overrides_the_encoding_of_the_inputs(client: Client, inputs: Any, encoding: str) -> None:
    parameters = {"output_encoding": Parameter(string_value=encoding)}
    answer = client.predict(predict_request("types", *inputs(), parameters=parameters))
    expected = raw_inputs() if encoding == "raw" else typed_inputs()
    assert list(answer.outputs) == named_as_outputs(expected)


def test_one_raw_input_makes_the_answer_raw(client: Client) -> None:
    inputs = typed_inputs()
    inputs[4] = raw_inputs()[4]
    answer = client.predict(predict_request("types", *inputs))
    assert list(answer.outputs) == named_as_outputs(raw_inputs())


def test_random_bits_come_back_bit_by_bit(client: Client) -> None:
    random = numpy.random.default_rng(3)
    # BOOL has no random bits. The others get every kind of NaN, denormal and infinity there is.
    widths = {name: len(to_bytes(values, layout)) // 6 for name, (_, values, layout) in EXACT.items()}
    inputs = [
        Tensor(
            name=f"{name.lower()}_in", shape=[64, 3], raw=random.bytes(192 * width) if name != "BOOL" else bytes(192)
        )
        for name, width in widths.items()
    ]
    answer = client.predict(predict_request("types", *inputs))
    assert [tensor.raw for tensor in answer.outputs] == [tensor.raw for tensor in inputs]


@pytest.mark.parametrize("name", ["FP16", "BF16", "FP32", "FP64"])
def test_typed_nan_stays_nan(client: Client, name: str) -> None:
    inputs = typed_inputs()
    index = list(EXACT).index(name)
    field = EXACT[name][0]
    getattr(inputs[index], field)[0] = NAN
    answer = client.predict(predict_request("types", *inputs))
    values = getattr(answer.outputs[index], field)
    assert values[0] != values[0]
    assert list(values[1:]) == EXACT[name][1][1:]


def test_typed_fp16_is_rounded_to_the_nearest_and_even(client: Client) -> None:
    random = numpy.random.default_rng(4)
    values = numpy.concatenate(
        [
            # Halfway between two neighbours, just beside it, around the largest, and around the smallest.
            numpy.array([1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-11 + 2**-20, 65519.996, -65519.996], dtype=numpy.float32),
            numpy.array([2**-25, 2**-25 * 1.001, 3 * 2**-25, 2**-24 * 1023.5, 0.0], dtype=numpy.float32),
            (random.standard_normal(86) * 10.0 ** random.integers(-8, 4, 86)).astype(numpy.float32),
        ]
    )
    assert rounded_by_server(client, "FP16", values) == values.astype(numpy.float16).tobytes()


def test_typed_bf16_is_rounded_to_the_nearest_and_even(client: Client) -> None:
    random = numpy.random.default_rng(5)
    values = numpy.concatenate(
        [
            numpy.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 3.39e38, -1e-40, 2**-134], dtype=numpy.float32),
            (random.standard_normal(90) * 10.0 ** random.integers(-38, 38, 90)).astype(numpy.float32),
        ]
    )
    bits = values.view(numpy.uint32)
    to_even = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    assert rounded_by_server(client, "BF16", values) == to_even.astype(numpy.uint16).tobytes()


def rounded_by_server(client: Client, name: str, values: numpy.ndarray) -> bytes:
    """What typed values become, as raw bytes."""
    values = values[: len(values) // 3 * 3]
    rows = len(values) // 3
    inputs = []
    for other, (_, exact, layout) in EXACT.items():
        if other == name:
            inputs.append(Tensor(name=f"{name.lower()}_in", float_values=values, shape=[rows, 3]))
        else:
            width = len(to_bytes(exact, layout)) // 6
            inputs.append(Tensor(name=f"{other.lower()}_in", raw=bytes(rows * 3 * width)))
    return client.predict(predict_request("types", *inputs, outputs=[f"{name.lower()}_out"])).outputs[0].raw


# --- Shapes, inputs and outputs ---


def test_a_shape_that_is_left_out_follows_from_the_elements(client: Client) -> None:
    inputs = typed_inputs()
    for tensor in inputs:
        del tensor.shape[:]
    answer = client.predict(predict_request("types", *inputs))
    assert list(answer.outputs) == named_as_outputs(typed_inputs())


def test_a_dtype_that_is_left_out_is_the_signatures(client: Client) -> None:
    inputs = raw_inputs()
    for tensor in inputs:
        tensor.dtype = 0
    answer = client.predict(predict_request("types", *inputs))
    assert list(answer.outputs) == named_as_outputs(raw_inputs())


def test_inputs_may_come_in_any_order(client: Client) -> None:
    answer = client.predict(predict_request("types", *reversed(typed_inputs())))
    assert list(answer.outputs) == named_as_outputs(typed_inputs())


def test_requested_outputs_come_alone_and_in_that_order(client: Client) -> None:
    wanted = ["fp64_out", "bool_out", "int8_out"]
    answer = client.predict(predict_request("types", *typed_inputs(), outputs=wanted))
    by_name = {tensor.name: tensor for tensor in named_as_outputs(typed_inputs())}
    assert list(answer.outputs) == [by_name[name] for name in wanted]


def test_strings_of_any_bytes_go_in_and_out(client: Client) -> None:
    texts = [b"", b"abc", "Grüße".encode(), b"\xff\x00z", b"x" * 100_000]
    upper = [text.upper() for text in texts]

    typed = client.predict(predict_request("strings", Tensor(name="text", bytes_values=texts)))
    assert list(typed.outputs[0].int64_values) == [len(text) for text in texts]
    assert list(typed.outputs[1].bytes_values) == upper

    def pack(items: list[bytes]) -> bytes:
        return b"".join(struct.pack("<I", len(item)) + item for item in items)

    raw = client.predict(predict_request("strings", Tensor(name="text", shape=[5], raw=pack(texts))))
    assert raw.outputs[0].raw == struct.pack("<5q", *(len(text) for text in texts))
    assert (raw.outputs[1].raw, list(raw.outputs[1].shape)) == (pack(upper), [5])


def test_text_is_answered_as_text_unless_some_of_it_is_none(client: Client) -> None:
    texts = ["", "abc", "Grüße", "x" * 100_000]
    answer = client.predict(predict_request("strings", Tensor(name="text", string_values=texts)))
    assert list(answer.outputs[0].int64_values) == [len(text.encode()) for text in texts]
    # The model changes ASCII letters only.
    upper = [text.encode().upper() for text in texts]
    assert [text.encode() for text in answer.outputs[1].string_values] == upper
    assert not answer.outputs[1].bytes_values

    request = predict_request("strings", Tensor(name="text", bytes_values=[b"abc"]))
    request.parameters["output_encoding"].string_value = "text"
    assert list(client.predict(request).outputs[1].string_values) == ["ABC"]
    request.inputs[0].bytes_values.append(b"\xff")
    answer = client.predict(request)
    assert (list(answer.outputs[1].bytes_values), list(answer.outputs[1].string_values)) == ([b"ABC", b"\xff"], [])


def test_text_that_is_no_utf8_is_refused(client: Client) -> None:
    for length in (1, 10_000):
        text = Tensor(name="text", bytes_values=[b"\xff" * length]).SerializeToString()
        # Field 13 instead of 12.
        tensor = text.replace(b"\x62", b"\x6a", 1)
        request = predict_request("strings").SerializeToString() + b"\x22" + _varint(len(tensor)) + tensor
        error = rpc_error(partial(client.predict, request))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "not a valid predictd.v1.PredictRequest message" in error.details()


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def test_a_model_without_rows_takes_a_scalar(client: Client) -> None:
    matrix = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    answer = client.predict(predict_request("fixed", raw_tensor("a", matrix), Tensor(name="b", int64_values=[-3])))
    (output,) = answer.outputs
    assert (output.name, list(output.shape), output.raw) == ("c", [2, 3], (matrix * -3).tobytes())


def test_inputs_with_a_dynamic_second_extent(client: Client) -> None:
    for width in (1, 7, 300):
        ids = numpy.arange(4 * width).reshape(4, width)
        scale = numpy.array([[1.0], [-1.0], [0.5], [0.0]], dtype=numpy.float32)
        answer = client.predict(predict_request("multi", raw_tensor("ids", ids), raw_tensor("scale", scale)))
        expected = ids.sum(axis=1, keepdims=True).astype(numpy.float32) * scale
        assert answer.outputs[0].raw == expected.tobytes()


def test_as_many_rows_as_the_model_takes(client: Client) -> None:
    rows = numpy.random.default_rng(6).standard_normal((64, 64)).astype(numpy.float32)
    together = client.predict(predict_request("linear", raw_tensor("x", rows)))
    for i in (0, 31, 63):
        alone = client.predict(predict_request("linear", raw_tensor("x", rows[i : i + 1])))
        numpy.testing.assert_allclose(floats(together)[i], floats(alone)[0], atol=1e-6)


def floats(answer: Any, width: int = 64) -> numpy.ndarray:
    return numpy.frombuffer(answer.outputs[0].raw, dtype=numpy.float32).reshape(-1, width)


# --- Versions, ids and timings ---


def test_the_newest_version_answers_unless_another_is_asked_for(client: Client) -> None:
    image = float_tensor("image", numpy.zeros((1, 1, 8, 8)))
    for asked, answered in ((0, 2), (1, 1), (2, 2)):
        answer = client.predict(predict_request("digits", image, model_version=asked))
        assert (answer.model_name, answer.model_version) == ("digits", answered)


@pytest.mark.parametrize("request_id", ["", "42", "ä" * 64, "line\nbreak \x00\x1b[31m"])
def test_the_request_id_is_echoed(client: Client, request_id: str) -> None:
    answer = client.predict(predict_request("linear", float_tensor("x", [[0.0] * 64]), request_id=request_id))
    assert answer.request_id == request_id


def test_the_trailers_say_where_the_time_went(client: Client) -> None:
    _, call = client.predict_with_call(slow_request(40, rows=3))
    timing = server_timing(call)
    assert list(timing) == ["decode", "queue", "forward", "total", "batch"]
    assert timing["batch"] == 3
    assert timing["forward"] > 1
    assert timing["total"] >= timing["forward"]
    assert timing["total"] >= timing["decode"] + timing["queue"] + timing["forward"] - 0.1


def test_the_trailers_of_a_refused_call_have_no_run(client: Client) -> None:
    error = rpc_error(lambda: client.predict(predict_request("slow")))
    assert list(server_timing(error)) == ["decode", "total"]


@pytest.mark.parametrize("timeout", ["99999999S", "99999999M", "99999999H"])
def test_a_deadline_further_away_than_a_clock_can_count_is_kept(server: PredictdProcess, timeout: str) -> None:
    # Python's client asks for no more than it can count itself.
    request = predict_request("linear", float_tensor("x", numpy.zeros((1, 64))), request_id=timeout)
    with RawHttp2(server.address) as connection:
        connection.send(encode_call(1, PREDICT, {"grpc-timeout": timeout}))
        connection.send(encode_message(1, request.SerializeToString()))
        message = connection.read_until(DATA, 1).payload[5:]
    assert PredictResponse.FromString(message).request_id == timeout


# --- Failures ---


def test_what_a_model_failed_of_is_in_the_log_under_the_error_id_and_nowhere_else(server: PredictdProcess) -> None:
    ids = []
    for _ in range(2):
        error = rpc_error(lambda: server.client.predict(predict_request("faulty", float_tensor("x", [[-1]]))))
        assert error.code() == grpc.StatusCode.INTERNAL
        found = re.fullmatch(
            r"the model failed; the server's log has the cause under error id ([0-9a-f]{16})", error.details()
        )
        assert found, error.details()
        ids.append(found[1])
        assert "square" not in str(error_details(error)) + str(error.trailing_metadata())
    assert ids[0] != ids[1]
    for error_id in ids:
        record = server.wait_for_log(has("error_id", error_id))
        assert record["level"] == "error"
        assert "the square root of a negative row" in record["cause"]


# --- The demo model ---


@pytest.mark.parametrize("version", [1, 2])
def test_digits_are_read_as_well_as_by_the_exporter(client: Client, version: int) -> None:
    images = numpy.load(HELD_OUT / "images.npy")
    labels = numpy.load(HELD_OUT / "labels.npy")
    expected = json.loads((HELD_OUT / "accuracy.json").read_text())["versions"][str(version)]
    correct = 0
    for first in range(0, len(images), 60):
        rows = slice(first, first + 60)
        request = predict_request("digits", raw_tensor("image", images[rows]), model_version=version, outputs=["label"])
        read = numpy.frombuffer(client.predict(request).outputs[0].raw, dtype=numpy.int64)
        correct += int((read == labels[rows]).sum())
    assert len(images) == expected["predictions"]
    assert correct == expected["correct"]
