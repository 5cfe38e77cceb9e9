"""Tests of bench_load_generator against servers that misbehave in known ways, and of the judgement on what it prints.

PREDICTD_BUILD_DIR names the build folder, where bench_load_generator must be.
"""

import itertools
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from bench.engine.load_generator import Load, Outcome
from bench.harness.failure import BenchFailure
from bench.harness.messages import PREDICT, PredictMessages

ROOT = Path(__file__).resolve().parents[3]
CALLS = 8
Answer = Callable[[bytes, grpc.ServicerContext], bytes]

SOUND = Outcome(
    seconds=2.0, asked_rate=100.0, sent=200, codes={"OK": 150, "RESOURCE_EXHAUSTED": 30, "DEADLINE_EXCEEDED": 20},
    in_time=140, late=3, wrong=0, unfinished=0, ok_in_window=148, ok_us={"p50": 1.0}, refused_us=None,
    send_late_us={"p50": 80.0, "p99": 900.0}, client_cpu_seconds=0.1, server_cpu_seconds=1.0,
)  # fmt: skip


@pytest.fixture(name="messages", scope="module")
def fixture_messages(tmp_path_factory: pytest.TempPathFactory) -> PredictMessages:
    return PredictMessages(ROOT, tmp_path_factory.mktemp("messages"))


@pytest.fixture(name="known", scope="module")
def fixture_known(messages: PredictMessages) -> dict[bytes, bytes]:
    """Requests and their right answers: each row plus 1."""
    rows = [np.full((1, 4), number, np.float32) for number in range(CALLS)]
    return dict(messages.call("m", ("x", "FP32", row), ("y", "FP32", row + 1)) for row in rows)


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(self._answer) if details.method == PREDICT else None


@contextmanager
def serving(answer: Answer, threads: int = 4) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(threads), [Service(answer)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextmanager
def delayed(address: str, seconds: float) -> Iterator[str]:
    """The server at `address` behind a wire on which whatever it sends takes that long."""
    host, port = address.split(":")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(3) as pumps:

        def pump(source: socket.socket, sink: socket.socket, delay: float) -> None:
            # The generator ends without a farewell to what is still on its way.
            with suppress(OSError):
                while data := source.recv(65536):
                    time.sleep(delay)
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        def connect() -> None:
            with listener.accept()[0] as client, socket.create_connection((host, int(port))) as server:
                requests = pumps.submit(pump, client, server, 0)
                pump(server, client, seconds)
                requests.result()

        connection = pumps.submit(connect)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        connection.result(timeout=10)


def generate(address: str, known: dict[bytes, bytes], folder: Path, load: Load, *more: str) -> Outcome:
    calls = folder / "calls"
    with calls.open("wb") as file:
        for message in itertools.chain.from_iterable(known.items()):
            file.write(struct.pack("<I", len(message)) + message)
    program = Path(os.environ["PREDICTD_BUILD_DIR"]) / "tests" / "bench" / "bench_load_generator"
    command = [str(program), "--address", address, "--calls", str(calls), *load.arguments(), *more]
    return Outcome.parse(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)


def test_right_answers_are_counted_under_their_code(known: dict[bytes, bytes], tmp_path: Path) -> None:
    with serving(lambda request, _: known[request]) as address:
        outcome = generate(address, known, tmp_path, Load(0.5, rate=200, deadline_ms=2000, warm_up=0))
    assert outcome.codes == {"OK": outcome.sent}
    assert (outcome.in_time, outcome.late, outcome.wrong, outcome.unfinished) == (outcome.sent, 0, 0, 0)
    assert outcome.client_cpu_seconds > 0
    outcome.require_sound().require_all_answered()


def test_the_same_seed_makes_the_same_arrivals_at_the_asked_rate(known: dict[bytes, bytes], tmp_path: Path) -> None:
    with serving(lambda request, _: known[request]) as address:
        sent = [generate(address, known, tmp_path, Load(0.5, rate=300, warm_up=0, seed=s)).sent for s in (1, 1, 2)]
    assert sent[0] == sent[1] != sent[2]
    assert all(abs(count - 150) < 5 * 150**0.5 for count in sent)


def test_a_server_that_stalls_does_not_hold_up_the_arrivals(known: dict[bytes, bytes], tmp_path: Path) -> None:
    stalled = threading.Event()

    def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
        if not stalled.is_set():
            stalled.set()
            time.sleep(0.5)
        return known[request]

    with serving(answer, threads=1) as address:
        outcome = generate(address, known, tmp_path, Load(1.0, rate=200, warm_up=0))
    with serving(lambda request, _: known[request]) as address:
        unhindered = generate(address, known, tmp_path, Load(1.0, rate=200, warm_up=0))
    assert outcome.sent == unhindered.sent
    # Half of the calls were due during the stall, and waited for half of it on average.
    assert outcome.ok_us is not None
    assert outcome.ok_us["p90"] > 300_000


def test_the_deadline_reaches_the_server(known: dict[bytes, bytes], tmp_path: Path) -> None:
    remaining = []

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        remaining.append(context.time_remaining())
        return known[request]

    with serving(answer) as address:
        generate(address, known, tmp_path, Load(0.4, in_flight=2, deadline_ms=500, warm_up=0))
    assert remaining
    assert all(0 < seconds <= 0.501 for seconds in remaining)


def test_answers_after_the_deadline_are_waited_for_and_late(known: dict[bytes, bytes], tmp_path: Path) -> None:
    load = Load(0.5, in_flight=2, deadline_ms=100, warm_up=0, connections=1)
    with serving(lambda request, _: known[request]) as address, delayed(address, 0.15) as slow_address:
        outcome = generate(slow_address, known, tmp_path, load)
    assert outcome.codes == {"OK": outcome.sent}
    assert outcome.sent > 0
    assert (outcome.in_time, outcome.late) == (0, outcome.sent)


def test_refusals_are_counted_and_timed_apart(known: dict[bytes, bytes], tmp_path: Path) -> None:
    numbers = itertools.count()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if next(numbers) % 2 == 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "on purpose")
        time.sleep(0.05)
        return known[request]

    with serving(answer, threads=1) as address:
        outcome = generate(address, known, tmp_path, Load(1.0, in_flight=1, warm_up=0))
    assert abs(outcome.count("OK") - outcome.count("RESOURCE_EXHAUSTED")) <= 1
    assert outcome.in_time == outcome.count("OK")
    assert outcome.ok_us is not None
    assert outcome.refused_us is not None
    assert outcome.refused_us["p50"] < 50_000 < outcome.ok_us["p50"]


@pytest.mark.parametrize("fault", ["numbers", "another caller's", "not a number", "shape"])
def test_a_wrong_answer_is_no_answer(
    known: dict[bytes, bytes], messages: PredictMessages, tmp_path: Path, fault: str
) -> None:
    answers = list(known.values())

    def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
        if fault == "another caller's":
            return answers[(answers.index(known[request]) + 1) % CALLS]
        response = messages.response_class.FromString(known[request])
        if fault == "numbers":
            right = np.frombuffer(response.outputs[0].raw, np.float32)
            response.outputs[0].raw = (right + np.float32(0.02) * (1 + right)).tobytes()
        elif fault == "not a number":
            response.outputs[0].raw = np.full(4, np.nan, np.float32).tobytes()
        else:
            response.outputs[0].shape[:] = [4, 1]
        return response.SerializeToString()

    with serving(answer) as address:
        outcome = generate(address, known, tmp_path, Load(0.3, in_flight=1, warm_up=0))
    assert outcome.sent > 0
    assert (outcome.wrong, outcome.in_time, outcome.ok_in_window) == (outcome.sent, 0, 0)
    with pytest.raises(BenchFailure, match="wrong answers"):
        outcome.require_sound()


def test_calls_without_an_end_are_counted(known: dict[bytes, bytes], tmp_path: Path) -> None:
    release = threading.Event()

    def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
        release.wait()
        return known[request]

    with serving(answer) as address:
        try:
            outcome = generate(address, known, tmp_path, Load(0.2, in_flight=3, warm_up=0), "--patience", "0.3")
        finally:
            release.set()
    assert (outcome.sent, outcome.unfinished, outcome.codes) == (3, 3, {})
    with pytest.raises(BenchFailure, match="3 of 3 calls did not end"):
        outcome.require_sound()


def test_the_closed_loop_keeps_its_number_in_flight_over_its_connections(
    known: dict[bytes, bytes], tmp_path: Path
) -> None:
    lock = threading.Lock()
    running, most, peers = 0, 0, set()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            peers.add(context.peer())
        time.sleep(0.02)
        with lock:
            running -= 1
        return known[request]

    with serving(answer, threads=16) as address:
        outcome = generate(address, known, tmp_path, Load(0.5, in_flight=6, connections=3, warm_up=0.2))
    assert (most, len(peers)) == (6, 3)
    # Six calls of 20 ms at a time for half a second, and less if the machine is busy.
    assert 6 < outcome.ok_in_window <= 6 * 25 + 6


@pytest.mark.parametrize("content", [b"", b"\5\0\0\0abc", struct.pack("<I", 0)])
def test_a_file_that_holds_no_calls_is_refused(tmp_path: Path, content: bytes) -> None:
    calls = tmp_path / "calls"
    calls.write_bytes(content)
    program = Path(os.environ["PREDICTD_BUILD_DIR"]) / "tests" / "bench" / "bench_load_generator"
    done = subprocess.run(
        [program, "--address", "127.0.0.1:1", "--calls", calls], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert str(calls) in done.stderr


def test_a_sound_outcome_passes_and_has_rates() -> None:
    assert SOUND.require_sound() is SOUND
    assert (SOUND.goodput, SOUND.ok_per_second, SOUND.count("INTERNAL")) == (70.0, 74.0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"wrong": 1}, "wrong answers"),
        ({"unfinished": 2}, "did not end"),
        ({"codes": {"OK": 199, "INTERNAL": 1}}, "INTERNAL"),
        ({"send_late_us": {"p50": 5001.0, "p99": 9000.0}}, "saturated"),
        ({"send_late_us": None}, "no call"),
    ],
)
def test_an_outcome_that_says_nothing_is_a_failure(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BenchFailure, match=reason):
        replace(SOUND, **change).require_sound()


def test_a_closed_loop_is_never_saturated() -> None:
    replace(SOUND, asked_rate=0.0, send_late_us={"p50": 9000.0}).require_sound()


def test_refusals_fail_a_load_that_must_be_answered() -> None:
    with pytest.raises(BenchFailure, match="not all of 200"):
        SOUND.require_all_answered()


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[]"])
def test_an_unreadable_report_is_shown(text: str) -> None:
    with pytest.raises(BenchFailure, match="unexpected"):
        Outcome.parse(text)
