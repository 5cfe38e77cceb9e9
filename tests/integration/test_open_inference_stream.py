"""ModelStreamInfer of the Open Inference Protocol: many requests on one stream, as tritonclient sends them."""

from __future__ import annotations

import asyncio
import signal
import struct
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
import tritonclient.grpc.aio

from generation import Streamed, stream_request
from open_inference import (
    METHOD,
    RawStream,
    TritonStream,
    infer_request,
    is_final,
    outputs,
    raw_infer,
    slow_input,
    text_inputs,
    text_of,
    triton_client,
    triton_error,
    triton_input,
)
from predictd_process import PredictdProcess, has
from protocol import rpc_error
from raw_http2 import DATA, INITIAL_WINDOW_SIZE, RawHttp2, encode_call, encode_frame
from test_tracing import Exported, plain_spans

CODE = grpc.StatusCode
STREAM = METHOD + "ModelStreamInfer"
MESSAGE = "ModelStreamInfer.message"
GREEDY = {"temperature": 0, "max_tokens": 12, "ignore_eos": True}


@pytest.fixture(scope="module", name="narrow")
def fixture_narrow() -> Iterator[PredictdProcess]:
    """One worker."""
    with PredictdProcess(["slow", "linear"], flags=["--workers=1", "--loops=1"]) as server:
        yield server


@pytest.fixture(scope="module", name="writer")
def fixture_writer(generators: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(generators, ["--workers=2"]) as server:
        yield server


def rows(value: float, count: int = 1) -> list[Any]:
    return [triton_input("x", numpy.full((count, 64), value))]


def id_of(result: Any) -> str:
    return result.get_response().id


# --- Answers ---


def test_a_fast_answer_overtakes_a_slow_one(server: PredictdProcess) -> None:
    with TritonStream(server) as stream:
        stream.infer("slow", [slow_input(800)], "slow")
        server.wait_for_metric("predictd_requests_running", 1, model="slow")
        stream.infer("linear", rows(1), "fast")
        assert [id_of(result) for result in stream.results(2)] == ["fast", "slow"]


def test_answers_are_those_of_the_single_call(server: PredictdProcess) -> None:
    with TritonStream(server) as stream, triton_client(server) as client:
        for n in range(200):
            stream.infer("linear", rows(n / 200, count=n % 3 + 1), f"request {n}", outputs=outputs("y"))
        answers = {id_of(result): result for result in stream.results(200)}
        for n in range(0, 200, 10):
            answer = answers[f"request {n}"]
            assert (answer.get_response().model_name, answer.get_response().model_version) == ("linear", "1")
            expected = client.infer("linear", rows(n / 200, count=n % 3 + 1)).as_numpy("y")
            numpy.testing.assert_allclose(answer.as_numpy("y"), expected, rtol=1e-4, atol=1e-5)
            assert is_final(answer)


def test_the_asynchronous_client_streams(server: PredictdProcess) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for n in range(20):
            yield {"model_name": "linear" if n % 4 else "nobody", "inputs": rows(n), "request_id": str(n)}

    async def stream() -> tuple[set[str], list[str]]:
        async with tritonclient.grpc.aio.InferenceServerClient(server.address) as client:
            answers = [answer async for answer in client.stream_infer(requests())]
            return {id_of(result) for result, error in answers if not error}, [
                str(error) for _, error in answers if error
            ]

    ids, errors = asyncio.run(stream())
    assert ids == {str(n) for n in range(20) if n % 4}
    assert len(errors) == 5
    assert all("'nobody'" in error for error in errors)


def test_messages_and_their_stream_are_in_log_and_metrics(server: PredictdProcess) -> None:
    def ended(method: str, model: str, code: str) -> float:
        return server.metric("predictd_requests_total", method=method, model=model, code=code)

    before = [ended(MESSAGE, "linear", "OK"), ended(MESSAGE, "", "NOT_FOUND"), ended("ModelStreamInfer", "", "OK")]
    with TritonStream(server) as stream:
        stream.infer("linear", rows(1), "of a stream")
        stream.infer("nobody", rows(1))
        stream.wait(2)
    record = server.wait_for_log(has("request_id", "of a stream"))
    assert (record["method"], record["model"], record["code"]) == (MESSAGE, "linear", "OK")
    assert record["forward_ms"] > 0
    server.wait_until_idle()
    after = [ended(MESSAGE, "linear", "OK"), ended(MESSAGE, "", "NOT_FOUND"), ended("ModelStreamInfer", "", "OK")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]


def test_an_answer_may_come_from_the_cache(tmp_path: Path, test_models: Path) -> None:
    folder = tmp_path / "models" / "linear"
    folder.mkdir(parents=True)
    (folder / "1").symlink_to(test_models / "linear" / "1")
    toml = (test_models / "linear" / "model.toml").read_text()
    (folder / "model.toml").write_text("response_cache_bytes = 1048576\n" + toml)
    with PredictdProcess(folder.parent) as server:
        with TritonStream(server) as stream:
            for n in range(3):
                stream.infer("linear", rows(1))
                stream.results(n + 1)
            first, second, third = (result.as_numpy("y") for result in stream.results(3))
        numpy.testing.assert_array_equal(first, second)
        numpy.testing.assert_array_equal(first, third)
        assert server.metric("predictd_response_cache_hits_total", model="linear") == 2


def test_messages_are_spans_below_that_of_their_stream(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    flags = ["--trace-exporter=file", f"--trace-file={file}", "--trace-sample-ratio=1"]
    with PredictdProcess(["linear"], flags) as server, TritonStream(server) as stream:
        for n in range(3):
            stream.infer("linear", rows(1), f"request {n}")
        stream.results(3)
    spans = Exported(plain_spans(file))
    streams = [span for span in spans.spans if span["name"].endswith("/ModelStreamInfer")]
    (whole,) = (span for span in streams if not span["parent_span_id"])
    for n in range(3):
        message, phases = spans.request(f"request {n}")
        assert (message["trace_id"], message["parent_span_id"]) == (whole["trace_id"], whole["span_id"])
        assert message["attributes"]["predictd.model.name"] == "linear"
        assert [phase["name"] for phase in phases] == ["decode", "queue", "forward"]


# --- Errors ---


def with_shape(shape: list[int]) -> Any:
    request = infer_request("linear", *rows(1))
    del request.inputs[0].shape[:]
    request.inputs[0].shape.extend(shape)
    return request


def with_parameter(name: str, **value: Any) -> Any:
    request = infer_request("linear", *rows(1))
    for kind, what in value.items():
        setattr(request.parameters[name], kind, what)
    return request


WRONG = {
    "no model": infer_request("", *rows(1)),
    "unknown model": infer_request("nobody", *rows(1)),
    "unknown version": infer_request("linear", *rows(1), model_version="7"),
    "model that failed": infer_request("broken", *rows(1)),
    "no input": infer_request("linear"),
    "wrong type": infer_request("linear", triton_input("x", numpy.ones((1, 64)), "FP64")),
    "negative shape": with_shape([-1, 64]),
    "shape that overflows": with_shape([2**62, 2**62]),
    "shape of many rows": with_shape([2**40, 64]),
    "shape of many extents": with_shape([1] * 5000),
    "sequence": with_parameter("sequence_id", int64_param=3),
    "start of a sequence": with_parameter("sequence_start", bool_param=True),
    "priority": with_parameter("priority", uint64_param=6),
    "timeout": with_parameter("timeout", string_param="soon"),
    "final response": with_parameter("triton_enable_empty_final_response", int64_param=1),
    "long id": infer_request("linear", *rows(1), id="i" * 129),
}


def test_an_error_is_that_of_the_single_call_and_the_stream_goes_on(server: PredictdProcess) -> None:
    infer = raw_infer(server.channel)
    with RawStream(server.channel) as stream:
        for name, request in WRONG.items():
            request.id = request.id or name
            expected = rpc_error(lambda request=request: infer(request, timeout=30))  # type: ignore[misc]
            answer = stream.exchange(request)
            assert answer.error_message == expected.details(), name
            response = answer.infer_response
            assert (response.id, response.model_name) == (request.id, request.model_name)
            assert response.parameters["status_code"].string_param == expected.code().name
            assert response.parameters["triton_final_response"].bool_param
            assert not response.outputs
        assert not stream.exchange(infer_request("linear", *rows(1))).error_message
        assert "no sequence" in stream.exchange(WRONG["sequence"]).error_message


def test_messages_that_are_none_are_errors_too(server: PredictdProcess) -> None:
    whole = infer_request("linear", *rows(1), id="cut").SerializeToString()
    large = infer_request("linear", *rows(1, count=60), id="large").SerializeToString()
    with RawStream(server.channel) as stream:
        for request in (b"\xff", b"\x0a\x7f", b"\x1b", whole[:-1], large[:-1], b"\x0a\x06linear\x1a\x02\xff\xfe"):
            answer = stream.exchange(request)
            assert answer.error_message, request
            assert answer.infer_response.parameters["status_code"].string_param == "INVALID_ARGUMENT"
        assert stream.exchange(whole[:-1]).infer_response.id == "cut"
        assert stream.exchange(large[:-1]).infer_response.id == "large"
        assert "linear" in stream.exchange(b"").error_message or stream.exchange(whole).infer_response.outputs


def test_a_model_that_fails_leaves_its_stream(server: PredictdProcess) -> None:
    with TritonStream(server) as stream:
        stream.infer("faulty", [triton_input("x", [[-1]])], "bad")
        (_, error), *_ = stream.wait(1)
        assert error is not None
        assert "error id" in error.message()
        stream.infer("faulty", [triton_input("x", [[1]])], "good")
        result, error = stream.wait(2)[1]
        assert (id_of(result), error) == ("good", None)


# --- Time, cancellation, drain ---


def test_a_timeout_ends_its_request_alone(narrow: PredictdProcess) -> None:
    with TritonStream(narrow) as stream:
        stream.infer("slow", [slow_input(700)], "occupant")
        narrow.wait_for_metric("predictd_requests_running", 1, model="slow")
        stream.infer("slow", [slow_input(1)], "late", timeout=50_000)
        stream.infer("slow", [slow_input(1)], "patient", timeout=20_000_000)
        (_, late), (occupant, _), (patient, _) = stream.wait(3)
        assert late is not None
        assert late.message() == "the deadline passed in the queue"
        assert (id_of(occupant), id_of(patient)) == ("occupant", "patient")


def test_the_default_deadline_is_for_messages_and_not_for_streams() -> None:
    with (
        PredictdProcess(["slow", "linear"], ["--workers=1", "--default-deadline=1s"]) as server,
        TritonStream(server) as stream,
    ):
        stream.infer("slow", [slow_input(2500)])
        (_, error), *_ = stream.wait(1)
        assert error is not None
        assert error.message() == "the deadline passed in the batch"
        # By now the stream is older than that, and it goes on.
        server.wait_for_metric("predictd_requests_running", 0, model="slow")
        stream.infer("linear", rows(1))
        assert stream.wait(2)[1][1] is None


def test_cancelling_the_stream_frees_what_is_queued(narrow: PredictdProcess) -> None:
    cancelled = narrow.metric("predictd_requests_total", method=MESSAGE, code="CANCELLED")
    with TritonStream(narrow) as stream:
        for _ in range(21):
            stream.infer("slow", [slow_input(2000)])
        narrow.wait_for_metric("predictd_requests_in_flight", 21, method=MESSAGE)
        assert narrow.metric("predictd_queue_depth", model="slow") > 0
        stream.cancel()
        narrow.wait_for_metric("predictd_queue_depth", 0, model="slow")
        narrow.wait_for_metric("predictd_requests_in_flight", 0, method=MESSAGE)
    narrow.wait_until_idle()
    assert narrow.metric("predictd_requests_total", method=MESSAGE, code="CANCELLED") == cancelled + 21
    with triton_client(narrow) as client:
        assert client.infer("linear", rows(1)).as_numpy("y") is not None


def test_a_client_that_vanishes_leaves_nothing(narrow: PredictdProcess) -> None:
    request = infer_request("slow", slow_input(300)).SerializeToString()
    for _ in range(5):
        connection = RawHttp2(narrow.address)
        messages = b"".join(encode_frame(DATA, 0, 1, struct.pack(">BI", 0, len(request)) + request) for _ in range(20))
        connection.send(encode_call(1, STREAM) + messages)
        narrow.wait_for_metric("predictd_requests_in_flight", 20, method=MESSAGE)
        connection.reset()
        narrow.wait_for_metric("predictd_requests_in_flight", 0, method=MESSAGE)
    narrow.wait_until_idle()


def test_a_drain_lets_what_has_begun_end_and_refuses_the_rest() -> None:
    with PredictdProcess(["slow", "linear"], ["--workers=1"]) as server, server.new_channel() as channel:
        with RawStream(channel) as stream:
            stream.send(*(infer_request("slow", slow_input(400), id=str(n)) for n in range(3)))
            server.wait_for_metric("predictd_requests_in_flight", 3, method=MESSAGE)
            server.send_signal(signal.SIGTERM)
            server.wait_for_log(has("msg", "draining"))
            # Whoever is told to go away elsewhere loses nothing.
            time.sleep(0.1)
            stream.send(infer_request("linear", *rows(1), id="late"))
            answers = [stream.read() for _ in range(3)]
            assert {answer.infer_response.id for answer in answers} == {"0", "1", "2"}
            assert not any(answer.error_message for answer in answers)
            assert rpc_error(stream.read).code() == CODE.UNAVAILABLE
        assert server.wait() == 0
        server.check_no_call_was_lost()


# --- Generators ---


def streamed_text(answers: list[Any], index: int = 0) -> str:
    return "".join(text_of(answer)[index] for answer in answers)


@pytest.mark.parametrize("by_parameter", [False, True])
def test_a_stream_of_text_is_that_of_the_own_protocol(writer: PredictdProcess, by_parameter: bool) -> None:
    expected = Streamed(writer.client.predict_stream(stream_request("Once upon a time", max_tokens=200)))
    sampling = {**GREEDY, "max_tokens": 200}
    with TritonStream(writer) as stream:
        if by_parameter:
            parameters = {**sampling, "stream": True}
            stream.infer("tiny", text_inputs("Once upon a time"), "a story", parameters=parameters)
        else:
            stream.infer("tiny", text_inputs("Once upon a time", sampling, stream=True), "a story")
        answers = stream.answers_to("a story")
    assert len(answers) > 5
    assert [is_final(answer) for answer in answers] == [False] * (len(answers) - 1) + [True]
    assert streamed_text(answers) == expected.text()
    assert {answer.get_response().model_name for answer in answers} == {"tiny"}


def test_several_answers_are_streamed_beside_each_other(writer: PredictdProcess) -> None:
    sampling = {"temperature": 1.2, "seed": 7, "n": 3, "max_tokens": 30, "ignore_eos": True}
    request = stream_request("The", temperature=1.2, seed=7, n=3, max_tokens=30)
    expected = Streamed(writer.client.predict_stream(request))
    with TritonStream(writer) as stream:
        stream.infer("tiny", text_inputs("The", sampling, stream=True, exclude_input_in_output=True), "three")
        answers = stream.answers_to("three")
    assert {len(text_of(answer)) for answer in answers} == {3}
    assert [streamed_text(answers, index) for index in range(3)] == [expected.text(index) for index in range(3)]


def test_text_and_tensors_share_a_stream(writer: PredictdProcess) -> None:
    prompts = [f"Story number {n}" for n in range(8)]
    expected = [Streamed(writer.client.predict_stream(stream_request(text, max_tokens=60))).text() for text in prompts]
    with TritonStream(writer) as stream:
        for n, prompt in enumerate(prompts):
            stream.infer("tiny", text_inputs(prompt, {**GREEDY, "max_tokens": 60}, stream=True), f"text {n}")
            stream.infer("linear", rows(n), f"tensor {n}")
        for n in range(len(prompts)):
            assert streamed_text(stream.answers_to(f"text {n}")) == expected[n]
            assert len(stream.answers_to(f"tensor {n}")) == 1


def test_without_stream_a_generator_answers_once(writer: PredictdProcess) -> None:
    with TritonStream(writer) as stream, triton_client(writer) as client:
        expected = text_of(client.infer("tiny", text_inputs("Once", GREEDY)))
        stream.infer("tiny", text_inputs("Once", GREEDY), "whole")
        (answer,) = stream.answers_to("whole")
        assert text_of(answer) == expected
        assert expected[0].startswith("Once")


def test_an_empty_final_response_ends_a_stream_of_text(writer: PredictdProcess) -> None:
    expected = Streamed(writer.client.predict_stream(stream_request("Once", max_tokens=12))).text()
    with TritonStream(writer) as stream:
        inputs = text_inputs("Once", GREEDY, stream=True)
        stream.infer("tiny", inputs, "text", enable_empty_final_response=True)
        *answers, last = stream.answers_to("text")
        assert streamed_text(answers) == expected
        assert not last.get_response().outputs
        assert (id_of(last), last.get_response().model_name) == ("text", "tiny")
        # Where there is one answer, it is the final one.
        stream.infer("linear", rows(1), "tensor", enable_empty_final_response=True)
        (answer,) = stream.answers_to("tensor")
        assert answer.as_numpy("y").shape == (1, 64)
        assert is_final(answer)


def test_wrong_requests_for_text_are_named(writer: PredictdProcess) -> None:
    wrong = {
        "exclude_input_in_output: expected true or nothing": text_inputs(
            "a", stream=True, exclude_input_in_output=False
        ),
        "sampling_parameters.max_tokens: expected": text_inputs("a", {"max_tokens": 0}, stream=True),
        "text_input: expected text in UTF-8": text_inputs(b"\xff", stream=True),
        "text_input: expected 1 to 2047 tokens": text_inputs("a " * 2040, {"max_tokens": 2000}, stream=True),
    }
    with TritonStream(writer) as stream:
        for n, (words, inputs) in enumerate(wrong.items()):
            stream.infer("tiny", inputs)
            error = stream.wait(n + 1)[n][1]
            assert error is not None
            assert error.message().startswith(words)
    with triton_client(writer) as client:
        code, message = triton_error(lambda: client.infer("tiny", text_inputs("a", stream=True)))
        assert (code, "ModelStreamInfer" in message) == ("INVALID_ARGUMENT", True)


def test_a_generation_is_given_up_with_its_time_or_its_stream(writer: PredictdProcess) -> None:
    long = text_inputs("a", {"max_tokens": 2000, "ignore_eos": True, "n": 8}, stream=True)
    with TritonStream(writer) as stream:
        stream.infer("tiny", long, "late", timeout=100_000)
        stream.infer("tiny", text_inputs("Once", GREEDY, stream=True), "short")
        assert is_final(stream.answers_to("short")[-1])
        writer.wait_for_metric("predictd_generator_slots_used", 0, model="tiny")
    with TritonStream(writer) as stream:
        stream.infer("tiny", long, "cancelled")
        stream.wait(3)
        stream.cancel()
        writer.wait_for_metric("predictd_generator_slots_used", 0, model="tiny")
    writer.wait_until_idle()


# --- Hostile clients ---


def test_ten_thousand_tiny_messages_of_who_reads_nothing_take_no_memory() -> None:
    flags = ["--stream-stall-timeout=1s", "--log-requests=none"]
    with PredictdProcess(["linear"], flags) as server:
        with TritonStream(server) as stream:
            stream.infer("linear", rows(1))
            stream.results(1)
        server.wait_until_idle()
        before = server.own_bytes()
        with RawHttp2(server.address, {INITIAL_WINDOW_SIZE: 0}) as connection:
            empty = struct.pack(">BI", 0, 0)
            connection.send(encode_call(1, STREAM) + encode_frame(DATA, 0, 1, empty * 3000) * 3)
            connection.send(encode_frame(DATA, 0, 1, empty * 1000))
            # The window, those that wait for it, and one or two that the transport has taken.
            server.wait_for_metric("predictd_requests_in_flight", 64, method=MESSAGE)
            assert server.own_bytes() - before < 16 << 20
            server.wait_for_metric("predictd_requests_in_flight", 0, method="ModelStreamInfer")
        server.wait_until_idle()
        assert server.metric("predictd_requests_total", method=MESSAGE) < 200
        assert server.metric("predictd_requests_total", method="ModelStreamInfer", code="RESOURCE_EXHAUSTED") == 1
        assert not server.metric("predictd_connections_closed_total", reason="noise")
        with TritonStream(server) as stream:
            stream.infer("linear", rows(1))
            stream.results(1)


def test_a_message_above_the_limit_ends_its_stream_only() -> None:
    with (
        PredictdProcess(["linear"], ["--max-message-bytes=1MiB"]) as server,
        server.new_channel() as channel,
        RawStream(channel) as large,
        RawStream(channel) as other,
    ):
        assert large.exchange(infer_request("linear", *rows(1))).infer_response.outputs
        large.send(infer_request("linear", *rows(1, count=5000)))
        assert rpc_error(large.read).code() == CODE.RESOURCE_EXHAUSTED
        assert other.exchange(infer_request("linear", *rows(1))).infer_response.outputs
        many = other.exchange(infer_request("linear", *rows(1, count=4000), id="many"))
        assert "rows" in many.error_message
        assert many.infer_response.id == "many"


def test_a_client_that_hangs_up_in_the_middle_of_a_message(narrow: PredictdProcess) -> None:
    message = struct.pack(">BI", 0, 100_000) + bytes(10_000)
    with RawHttp2(narrow.address) as connection:
        connection.send(encode_call(1, STREAM) + encode_frame(DATA, 0, 1, message))
        narrow.wait_for_metric("predictd_requests_in_flight", 1, method="ModelStreamInfer")
        connection.reset()
    narrow.wait_until_idle()


def test_the_end_of_an_empty_stream_is_its_status(server: PredictdProcess) -> None:
    with RawStream(server.channel) as stream:
        stream.end()
        assert list(stream.call) == []
        assert stream.call.code() == CODE.OK
