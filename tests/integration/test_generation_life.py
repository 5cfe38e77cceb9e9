"""Generation that ends early, and what is left then: nothing."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from generation import NAME, SLOTS, Streamed, generation_request, stream_request
from predictd_process import PredictdProcess, eventually
from protocol import PREDICT_STREAM, Client, Parameter, float_tensor, predict_request, rpc_error

LONG_PROMPT = "word " * 380


@pytest.fixture(scope="module", name="server")
def fixture_server(generators: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(generators, flags=["--workers=2", "--stream-stall-timeout=2s"]) as server:
        yield server
        server.wait_for_metric("predictd_generator_slots_used", 0)
        server.wait_for_metric("predictd_generator_waiting", 0)
        server.wait_until_idle()


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    return server.client


def endless(prompt: str = "Hello", **fields: Any) -> Any:
    return stream_request(prompt, **{"max_tokens": 1900, **fields})


def occupy(client: Client, answers: int = SLOTS) -> list[Any]:
    """Streams that take that many slots until they are cancelled."""
    streams = [client.predict_stream(endless(f"Number {i}", temperature=1, seed=i)) for i in range(answers)]
    for stream in streams:
        while next(stream).WhichOneof("event") != "delta":
            pass
    return streams


# --- The caller leaves ---


def test_cancelled_answer_frees_its_slot(server: PredictdProcess, client: Client) -> None:
    stream = client.predict_stream(endless())
    for _ in range(20):
        next(stream)
    before = server.metric("predictd_generator_tokens_total")
    stream.cancel()
    server.wait_for_metric("predictd_generator_slots_used", 0, timeout=5)
    assert server.metric("predictd_generator_tokens_total") - before < 1000
    with pytest.raises(grpc.RpcError):
        list(stream)


def test_who_waits_for_a_slot_may_leave(server: PredictdProcess, client: Client) -> None:
    running = occupy(client)
    waiting = client.predict_stream(endless("Me too"))
    server.wait_for_metric("predictd_generator_waiting", 1)
    waiting.cancel()
    server.wait_for_metric("predictd_generator_waiting", 0, timeout=5)
    for stream in running:
        stream.cancel()
    server.wait_for_metric("predictd_generator_slots_used", 0, timeout=5)


def test_who_leaves_during_the_prompt_frees_the_slot(server: PredictdProcess, client: Client) -> None:
    for i in range(20):
        stream = client.predict_stream(endless(f"{i} " + LONG_PROMPT))
        time.sleep(0.002 * i)
        stream.cancel()
    server.wait_for_metric("predictd_generator_slots_used", 0, timeout=10)


def test_ten_thousand_hang_ups_leave_nothing(server: PredictdProcess) -> None:
    before = server.resident_bytes()

    def hang_up(i: int) -> None:
        with server.new_channel() as channel:
            stream = Client(channel).predict_stream(endless(f"Number {i}"))
            for _ in range(i % 5):
                next(stream)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(hang_up, range(10_000)))
    server.wait_for_metric("predictd_generator_slots_used", 0, timeout=20)
    server.wait_for_metric("predictd_generator_waiting", 0)
    server.wait_until_idle()
    assert server.resident_bytes() - before < 50 << 20


# --- Time runs out ---


def test_deadline_in_an_answer_ends_it_after_what_was_sent(client: Client) -> None:
    streamed = Streamed([])

    def read() -> None:
        for event in client.predict_stream(endless(n=8), timeout=0.3):
            streamed.take(event)

    error = rpc_error(read)
    assert error.code() == StatusCode.DEADLINE_EXCEEDED
    assert streamed.text()
    assert streamed.summary is None


def test_deadline_of_a_whole_answer(client: Client) -> None:
    started = time.monotonic()
    request = generation_request("Hello", max_tokens=1900, n=8)
    assert rpc_error(lambda: client.predict(request, timeout=0.2)).code() == StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 1


def test_deadline_in_the_queue(client: Client) -> None:
    running = occupy(client)
    error = rpc_error(lambda: client.predict(generation_request("Hello"), timeout=0.1))
    assert error.code() == StatusCode.DEADLINE_EXCEEDED
    for stream in running:
        stream.cancel()


def test_default_priority_is_the_middle(server: PredictdProcess, client: Client) -> None:
    running = occupy(client)
    ended: list[str] = []
    calls = []
    for name, priority in (("low", 1), ("default", None), ("high", 3)):
        request = generation_request("Hello", max_tokens=200)
        if priority is not None:
            request.parameters["priority"].CopyFrom(Parameter(int64_value=priority))
        call = client.predict_future(request, timeout=30)
        call.add_done_callback(lambda _, name=name: ended.append(name))
        calls.append(call)
    server.wait_for_metric("predictd_generator_waiting", 3)
    # One slot for all three, one after the other.
    running[0].cancel()
    for call in calls:
        assert len(call.result().answers[0].tokens) == 200
    eventually(lambda: len(ended) == 3, 5, "the last callback")
    assert ended == ["high", "default", "low"]
    for stream in running[1:]:
        stream.cancel()


# --- Others are not held up ---


def test_reader_who_stops_reading_holds_up_nobody_and_is_cut_off(server: PredictdProcess, client: Client) -> None:
    with server.new_channel(("grpc.http2.lookahead_bytes", 0)) as channel:
        call = channel.unary_stream(PREDICT_STREAM, lambda request: request.SerializeToString(), lambda data: data)
        stalled = call(endless(logprobs=20, n=4), timeout=60)
        next(stalled)
        started = time.monotonic()
        assert len(client.predict(generation_request("Hello")).answers[0].tokens) == 20
        assert time.monotonic() - started < 5
        server.wait_for_metric("predictd_generator_slots_used", 0, timeout=30)
        stalled.cancel()


def test_tensor_model_is_served_beside_answers(server: PredictdProcess, client: Client) -> None:
    running = occupy(client, 4)
    for _ in range(20):
        assert client.predict(predict_request("linear", float_tensor("x", [[0.5] * 64])), timeout=5).outputs
    for stream in running:
        stream.cancel()


# --- The server ends ---


def test_drain_lets_short_answers_end_and_stops_long_ones(generators: Path) -> None:
    with PredictdProcess(generators, flags=["--drain-grace=1s"]) as server:
        client = server.client
        long = client.predict_stream(endless(n=15, temperature=1, seed=1))
        next(long)
        short = client.predict_future(generation_request("Hello", max_tokens=30))
        time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        assert len(short.result().answers[0].tokens) == 30
        error = rpc_error(lambda: list(long))
        assert error.code() == StatusCode.UNAVAILABLE
        assert server.wait() == 0
        server.check_no_call_was_lost()


# --- What is told ---


def test_spans_follow_the_conventions_for_generation(generators: Path, tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    flags = ["--trace-exporter=file", f"--trace-file={file}", "--trace-sample-ratio=1"]
    with PredictdProcess(generators, flags=flags) as server:
        server.client.predict(generation_request("Hello", request_id="traced"))
        assert server.stop() == 0
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    text = json.dumps(spans)
    names = ["operation.name", "request.model", "usage.input_tokens", "usage.output_tokens", "response.finish_reasons"]
    for name in (f"gen_ai.{name}" for name in names):
        assert name in text
    for phase in ("queue", "prefill", "decode"):
        assert f'"{phase}"' in text


def test_metrics_count_tokens(server: PredictdProcess, client: Client) -> None:
    names = ["predictd_generator_tokens_total", "gen_ai_server_time_to_first_token_seconds_count",
             "gen_ai_server_time_per_output_token_seconds_count"]  # fmt: skip
    before = [server.metric(name, model=NAME) for name in names]
    client.predict(generation_request("Hello", max_tokens=30))
    after = [server.metric(name, model=NAME) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [30, 1, 29]
