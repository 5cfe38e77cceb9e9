"""Hostile and careless clients at random beside an honest one, whose answers stay right; in the end nothing is left."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import numpy

from generation import MAX_LENGTH, generation_request, stream_request
from predictd_process import PredictdProcess
from protocol import (
    PREDICT,
    PREDICT_STREAM,
    Chat,
    ChatMessage,
    Client,
    PredictStreamRequest,
    float_tensor,
    predict_request,
    raw_tensor,
    slow_request,
    to_arrays,
)
from raw_http2 import DATA, END_STREAM, RST_STREAM, RawHttp2, encode_call, encode_frame, encode_message

SEED = 12
SECONDS = 6
FLAGS = ["--workers=2", "--stream-stall-timeout=1s", "--max-deadline=10s", "--drain-grace=2s", "--log-requests=none"]
REFUSALS = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
}


class Hostile:
    """Does one thing after the other that no client should, on connections of its own."""

    def __init__(self, server: PredictdProcess, numbers: random.Random) -> None:
        self._server = server
        self._numbers = numbers
        self.done = 0
        self.unexpected: set[grpc.StatusCode] = set()

    def run(self, end: float) -> None:
        deeds: list[Callable[[], None]] = [
            self._hurry, self._cancel, self._wrong, self._half_a_message, self._reset, self._never_read, self._prompts,
        ]  # fmt: skip
        while time.monotonic() < end:
            # The connection may be cut off, or the server be stopped for a moment.
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                self._numbers.choice(deeds)()
            self.done += 1

    def _expect_refusal(self, call: Callable[[], object]) -> None:
        try:
            call()
        except grpc.RpcError as error:
            if error.code() not in REFUSALS:
                self.unexpected.add(error.code())

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        with self._server.new_channel() as channel:
            yield Client(channel)

    def _hurry(self) -> None:
        with self._client() as client:
            for milliseconds in (1, 2, 5):
                self._expect_refusal(partial(client.predict, slow_request(milliseconds), timeout=0.001))

    def _cancel(self) -> None:
        with self._client() as client:
            calls = [
                client.predict_future(slow_request(self._numbers.randrange(1, 20))),
                client.predict_stream(PredictStreamRequest(predict=slow_request(2, rows=8), chunk_rows=1)),
                client.predict_stream(stream_request("Hello", max_tokens=1900, n=self._numbers.randrange(1, 17))),
                client.predict_future(generation_request("word " * self._numbers.randrange(1, 390))),
            ]
            time.sleep(self._numbers.random() * 0.02)
            for call in calls:
                call.cancel()

    def _wrong(self) -> None:
        with self._client() as client:
            requests = [
                predict_request("linear", raw_tensor("x", numpy.ones((1, 3), numpy.float32))),
                predict_request("linear", float_tensor("nothing", [[1.0]])),
                generation_request("Hello", temperature=float("nan"), n=-1),
                generation_request("a" * (17 * MAX_LENGTH)),
                generation_request(chat=Chat(messages=[ChatMessage(role="")] * 100)),
            ]
            for request in requests:
                self._expect_refusal(partial(client.predict, request, timeout=5))

    def _half_a_message(self) -> None:
        with RawHttp2(self._server.address) as connection:
            connection.send(encode_call(1, PREDICT) + encode_frame(DATA, 0, 1, b"\0\0\1\0\0half"))
            connection.reset()

    def _reset(self) -> None:
        message = slow_request(1).SerializeToString()
        with RawHttp2(self._server.address) as connection:
            for stream in range(1, 100, 2):
                connection.send(
                    encode_call(stream, PREDICT)
                    + encode_message(stream, message)
                    + encode_frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))
                )

    def _never_read(self) -> None:
        message = stream_request("Hello", max_tokens=1900, n=4, logprobs=20).SerializeToString()
        with RawHttp2(self._server.address) as connection:
            connection.send(encode_call(1, PREDICT_STREAM) + encode_message(1, message))
            time.sleep(0.2)
            connection.send(encode_frame(DATA, END_STREAM, 3, b""))

    def _prompts(self) -> None:
        with self._client() as client:
            calls = [
                client.predict_future(generation_request("word " * 390, max_tokens=1), timeout=0.05) for _ in range(50)
            ]
            for call in calls:
                self._expect_refusal(call.result)


class Honest:
    """Asks for what it knows the answers of."""

    def __init__(self, server: PredictdProcess) -> None:
        self._server = server
        self._tensor = predict_request("linear", raw_tensor("x", numpy.full((1, 64), 0.5, numpy.float32)))
        self._prompt = generation_request("Who are you?", max_tokens=8)
        self._expected = self._ask()
        self.right = 0
        self.wrong: list[str] = []

    def _ask(self) -> tuple[bytes, str]:
        client = self._server.client
        (output,) = to_arrays(client.predict(self._tensor)).values()
        return output.tobytes(), client.predict(self._prompt).answers[0].text

    def run(self, end: float) -> None:
        while time.monotonic() < end:
            try:
                answer = self._ask()
            except grpc.RpcError as error:
                # Full for a moment is an answer; anything else is not.
                if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                    self.wrong.append(str(error))
                continue
            if answer == self._expected:
                self.right += 1
            else:
                self.wrong.append(repr(answer))


def test_an_honest_client_gets_right_answers_amid_chaos_and_nothing_is_left(generators: Path) -> None:
    with PredictdProcess(generators, flags=FLAGS) as server:
        honest = Honest(server)
        hostile = [Hostile(server, random.Random(SEED + i)) for i in range(3)]
        end = time.monotonic() + SECONDS
        runs = [honest.run, *(client.run for client in hostile)]
        threads = [threading.Thread(target=run, args=(end,)) for run in runs]
        for thread in threads:
            thread.start()
        numbers = random.Random(SEED)
        while time.monotonic() < end:
            time.sleep(numbers.random())
            server.send_signal(signal.SIGSTOP)
            time.sleep(0.1 * numbers.random())
            server.send_signal(signal.SIGCONT)
        for thread in threads:
            thread.join()
        assert not honest.wrong
        assert honest.right > 10
        assert not set().union(*(client.unexpected for client in hostile))
        assert all(client.done > 5 for client in hostile)
        server.wait_for_metric("predictd_generator_slots_used", 0)
        server.wait_for_metric("predictd_generator_waiting", 0)
        server.wait_until_idle()
        assert server.stop() == 0
        server.check_no_call_was_lost()
