"""An answer does not depend on the batch that it ran in: models of every kind and type, failures, NaN, padding."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import grpc
import numpy
import pytest

from batching import run_in_batches, some_batch_has_more_rows_than
from predictd_process import DEMO_MODELS, PredictdProcess
from protocol import (
    NUMPY_TYPES,
    Client,
    PredictStreamRequest,
    Tensor,
    collect,
    field_violations,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    server_timing,
    to_array,
    to_arrays,
)

HELD_OUT = DEMO_MODELS / "digits" / "heldout"


def images_of_each_digit() -> numpy.ndarray:
    return numpy.load(HELD_OUT / "images.npy")[:24]


@pytest.mark.parametrize("version", [1, 2])
def test_an_answer_does_not_depend_on_the_batch_it_ran_in(server: PredictdProcess, version: int) -> None:
    client = server.client
    images = images_of_each_digit()
    # Requests of 1, 2 and 3 rows.
    cuts = numpy.cumsum([0, *list(itertools.islice(itertools.cycle([1, 2, 3]), 12))])
    requests = [
        predict_request("digits", raw_tensor("image", images[a:b]), model_version=version)
        for a, b in itertools.pairwise(cuts)
    ]
    alone = [client.predict(request) for request in requests]
    for future, expected in zip(run_in_batches(server, requests, some_batch_has_more_rows_than(3)), alone, strict=True):
        answer = future.result()
        numpy.testing.assert_allclose(to_array(answer.outputs[0]), to_array(expected.outputs[0]), atol=1e-6)
        assert answer.outputs[1] == expected.outputs[1]


def test_values_are_not_mixed_up_in_batches_of_many_types(server: PredictdProcess) -> None:
    random = numpy.random.default_rng(7)
    widths = {name: int(kind[1]) for name, kind in NUMPY_TYPES.items() if name != "BOOL"}
    requests = []
    for rows in (1, 5, 2, 9, 3):
        inputs = [
            Tensor(name=f"{name.lower()}_in", raw=random.bytes(rows * 3 * width)) for name, width in widths.items()
        ]
        inputs.append(Tensor(name="bool_in", raw=bytes(random.integers(0, 2, rows * 3).tolist())))
        requests.append(predict_request("types", *inputs))
    for request, future in zip(
        requests, run_in_batches(server, requests, some_batch_has_more_rows_than(9)), strict=True
    ):
        sent = {tensor.name: tensor.raw for tensor in request.inputs}
        assert {tensor.name.replace("_out", "_in"): tensor.raw for tensor in future.result().outputs} == sent


def test_requests_of_different_widths_wait_together_and_run_apart(server: PredictdProcess) -> None:
    widths = [1, 1, 1, 2, 2, 5, 1, 3, 5]
    requests = [
        predict_request("multi", raw_tensor("ids", numpy.full((2, width), i)), float_tensor("scale", [[1], [10]]))
        for i, width in enumerate(widths)
    ]
    futures = run_in_batches(server, requests, some_batch_has_more_rows_than(2))
    for i, (width, future) in enumerate(zip(widths, futures, strict=True)):
        output = future.result().outputs[0]
        values = output.float_values or numpy.frombuffer(output.raw, dtype=numpy.float32)
        assert list(values) == [i * width, 10 * i * width]


def test_a_model_without_rows_is_not_batched(server: PredictdProcess) -> None:
    requests = [
        predict_request("fixed", float_tensor("a", numpy.ones((2, 3))), Tensor(name="b", int64_values=[i]))
        for i in range(8)
    ]

    def waited(futures: list[Any]) -> bool:
        return max(server_timing(future)["queue"] for future in futures) > 1

    for i, future in enumerate(run_in_batches(server, requests, waited)):
        assert list(future.result().outputs[0].float_values) == [i] * 6
        assert server_timing(future)["batch"] == 1


def test_a_failing_request_does_not_fail_those_it_was_batched_with(server: PredictdProcess) -> None:
    values = [1.0, 4.0, -1.0, 9.0, 16.0, -4.0, 25.0]
    requests = [predict_request("faulty", float_tensor("x", [[value]])) for value in values]
    rows_before = server.metric("predictd_batch_rows_sum", model="faulty")

    # Some of them first together, and then each alone.
    def ran_more_than_once(futures: list[Any]) -> bool:
        nonlocal rows_before
        before, rows_before = rows_before, server.metric("predictd_batch_rows_sum", model="faulty")
        return rows_before - before > len(futures)

    for value, future in zip(values, run_in_batches(server, requests, ran_more_than_once), strict=True):
        if value < 0:
            assert future.exception().code() == grpc.StatusCode.INTERNAL
        else:
            assert list(future.result().outputs[0].float_values) == [value**0.5]


def test_many_clients_at_once_get_their_own_answers(server: PredictdProcess) -> None:
    rows = numpy.random.default_rng(8).standard_normal((400, 1, 64)).astype(numpy.float32)
    channels = [server.new_channel() for _ in range(4)]
    clients = [Client(channel) for channel in channels]
    expected = [
        to_array(clients[0].predict(predict_request("linear", raw_tensor("x", row))).outputs[0]) for row in rows[:50]
    ]
    futures = [
        clients[i % 4].predict_future(predict_request("linear", raw_tensor("x", row), request_id=str(i)))
        for i, row in enumerate(rows)
    ]
    answers = [future.result() for future in futures]
    assert [answer.request_id for answer in answers] == [str(i) for i in range(400)]
    for answer, alone in zip(answers[:50], expected, strict=True):
        numpy.testing.assert_allclose(to_array(answer.outputs[0]), alone, atol=1e-6)
    for channel in channels:
        channel.close()


# --- NaN ---


@pytest.mark.parametrize("version", [1, 2])
def test_nan_in_one_row_stays_in_that_row(server: PredictdProcess, version: int) -> None:
    images = images_of_each_digit()
    images[5] = numpy.nan
    requests = [predict_request("digits", raw_tensor("image", image[None]), model_version=version) for image in images]
    alone = [to_arrays(server.client.predict(request))["probabilities"] for request in requests]
    futures = run_in_batches(server, requests, some_batch_has_more_rows_than(1))
    for row, (future, expected) in enumerate(zip(futures, alone, strict=True)):
        probabilities = to_arrays(future.result())["probabilities"]
        assert numpy.isnan(probabilities).all() == numpy.isnan(probabilities).any() == (row == 5)
        numpy.testing.assert_allclose(probabilities, expected, atol=1e-6)


# --- Memory ---


def test_answers_that_share_the_memory_of_their_batch_are_right(server: PredictdProcess) -> None:
    random = numpy.random.default_rng(9)
    sent = [random.standard_normal((rows, 4)).astype(numpy.float32) for rows in (1, 3, 2, 1, 5)]
    requests = [predict_request("aliases", raw_tensor("x", x)) for x in sent]
    for request in (requests, requests):
        for x, future in zip(sent, run_in_batches(server, request, some_batch_has_more_rows_than(5)), strict=True):
            answer = to_arrays(future.result())
            numpy.testing.assert_array_equal(answer["whole"], x)
            numpy.testing.assert_array_equal(answer["part"], x[:, 1:])
            numpy.testing.assert_array_equal(answer["pairs"], x.reshape(-1, 2, 2))


# --- Padding ---

# What a sum over numbers of about 1 may differ by when it is added up in another order.
# Kernels for other shapes add in another order.
TOLERANCE = {"FP32": 4e-6, "FP64": 1e-12, "FP16": 4e-3, "BF16": 4e-2}


def sequences(lengths: Sequence[int], rows: int = 1) -> list[tuple[numpy.ndarray, numpy.ndarray]]:
    """Tokens and biases of the model `attention`."""
    random = numpy.random.default_rng(10)
    return [
        (
            random.integers(0, 32, (rows, length)),
            random.standard_normal((rows, length)).astype(numpy.float32),
        )
        for length in lengths
    ]


def attention_request(tokens: numpy.ndarray, bias: numpy.ndarray) -> Any:
    return predict_request("attention", raw_tensor("tokens", tokens), raw_tensor("bias", bias))


def assert_answers_agree(answer: Any, expected: Any) -> None:
    got, wanted = to_arrays(answer), to_arrays(expected)
    numpy.testing.assert_array_equal(got["echo"], wanted["echo"])
    numpy.testing.assert_allclose(got["hidden"], wanted["hidden"], atol=TOLERANCE["FP32"])
    for dtype, tolerance in TOLERANCE.items():
        name = f"pooled_{dtype.lower()}"
        numpy.testing.assert_allclose(got[name], wanted[name], atol=tolerance, err_msg=name)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 15, 16, 17, 63, 64])
def test_a_padded_answer_is_that_of_the_model_without_padding(client: Client, length: int) -> None:
    [(tokens, bias)] = sequences([length], rows=3)
    padded = client.predict(attention_request(tokens, bias))
    plain = client.predict(
        predict_request(
            "attention_unpadded",
            raw_tensor("tokens", tokens),
            raw_tensor("mask", numpy.ones(tokens.shape, bool)),
            raw_tensor("bias", bias),
        )
    )
    assert to_arrays(padded)["echo"].tolist() == tokens.tolist()
    assert_answers_agree(padded, plain)


def test_sequences_of_a_bucket_share_a_batch_and_answer_as_alone(server: PredictdProcess) -> None:
    lengths = [5, 9, 16, 7, 6, 12, 11, 8]
    requests = [attention_request(*sequence) for sequence in sequences(lengths, rows=2)]
    alone = [server.client.predict(request) for request in requests]
    futures = run_in_batches(server, requests, some_batch_has_more_rows_than(15))
    for length, future, expected in zip(lengths, futures, alone, strict=True):
        assert to_arrays(future.result())["hidden"].shape == (2, length, 16)
        assert_answers_agree(future.result(), expected)


def test_sequences_of_all_buckets_answer_as_alone(server: PredictdProcess) -> None:
    requests = [attention_request(*sequence) for sequence in sequences([1, 4, 5, 40, 2, 64, 16, 3, 17, 30])]
    alone = [server.client.predict(request) for request in requests]
    for future, expected in zip(run_in_batches(server, requests, some_batch_has_more_rows_than(1)), alone, strict=True):
        assert_answers_agree(future.result(), expected)


def test_streamed_sequences_are_padded_and_cut_back_chunk_by_chunk(client: Client) -> None:
    [(tokens, bias)] = sequences([6], rows=5)
    whole = to_arrays(client.predict(attention_request(tokens, bias)))["hidden"]
    stream = client.predict_stream(PredictStreamRequest(predict=attention_request(tokens, bias), chunk_rows=2))
    chunks = [to_arrays(rows)["hidden"] for rows in collect(stream)["rows"]]
    assert [chunk.shape for chunk in chunks] == [(2, 6, 16), (2, 6, 16), (1, 6, 16)]
    numpy.testing.assert_allclose(numpy.concatenate(chunks), whole, atol=TOLERANCE["FP32"])


def test_nan_in_one_sequence_stays_there(server: PredictdProcess) -> None:
    inputs = sequences([5, 6, 7, 8])
    inputs[2][1][0, 3] = numpy.nan
    requests = [attention_request(*sequence) for sequence in inputs]
    for i, future in enumerate(run_in_batches(server, requests, some_batch_has_more_rows_than(3))):
        answer = to_arrays(future.result())
        assert {name: bool(numpy.isnan(array).any()) for name, array in answer.items() if name != "echo"} == {
            name: i == 2 for name in answer if name != "echo"
        }


def test_too_long_a_sequence_is_refused_by_name(client: Client) -> None:
    [(tokens, bias)] = sequences([65])
    error = rpc_error(lambda: client.predict(attention_request(tokens, bias)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field_violations(error) == {
        "inputs[0].shape": "expected at most 64 in dimension 1, got 65",
        "inputs[1].shape": "expected at most 64 in dimension 1, got 65",
    }


def test_inputs_that_share_a_length_must_agree(client: Client) -> None:
    (tokens, _), (_, bias) = sequences([5, 6])
    error = rpc_error(lambda: client.predict(attention_request(tokens, bias)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field_violations(error) == {"inputs[1].shape": "expected 5 in dimension 1 as in tokens, got 6"}


def test_the_mask_is_not_for_callers(client: Client) -> None:
    assert [spec.name for spec in client.get_model("attention").model.inputs] == ["tokens", "bias"]
    [(tokens, bias)] = sequences([4])
    request = attention_request(tokens, bias)
    request.inputs.append(raw_tensor("mask", numpy.ones((1, 4), bool)))
    error = rpc_error(lambda: client.predict(request))
    assert field_violations(error) == {"inputs[2].name": "expected one of tokens, bias, got 'mask'"}
