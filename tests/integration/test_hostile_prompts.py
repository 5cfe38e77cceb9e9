"""Prompts that are long, many, or sent when no worker is free: bounded, and answered in time."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from generation import MAX_LENGTH, NAME, generation_request, stream_request
from predictd_process import PredictdProcess, eventually
from protocol import Chat, ChatMessage, Client, TokenIds, field_violations, rpc_error, slow_request

CAPACITY = 3
# Put into tokens on a worker, because of its length or because a template's cost is not known.
LONG = "word " * 380
CHAT = Chat(messages=[ChatMessage(role="user" if i % 2 == 0 else "assistant", content="Hello") for i in range(10)])


@pytest.fixture(scope="module", name="server")
def fixture_server(generators: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictdProcess]:
    """One worker, and a generator where few may wait."""
    repository = tmp_path_factory.mktemp("few") / "models"
    shutil.copytree(generators, repository)
    config = repository / NAME / "model.toml"
    config.write_text(f"queue_capacity = {CAPACITY}\n" + config.read_text())
    with PredictdProcess(repository, flags=["--workers=1", "--drain-grace=1s"]) as server:
        yield server
        server.wait_for_metric("predictd_generator_waiting", 0)
        server.wait_for_metric("predictd_generator_slots_used", 0)
        server.wait_until_idle()


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    return server.client


def hold_worker(server: PredictdProcess, milliseconds: float) -> Any:
    """Keeps the only worker busy."""
    call = server.client.predict_future(slow_request(milliseconds))
    server.wait_for_metric("predictd_requests_running", 1, model="slow")
    return call


@pytest.mark.parametrize("prompt", [{"text": LONG}, {"chat": CHAT}], ids=["text", "chat"])
def test_prompt_that_waits_for_a_worker_ends_at_its_deadline(server: PredictdProcess, prompt: dict[str, Any]) -> None:
    held = hold_worker(server, 1500)
    started = time.monotonic()
    error = rpc_error(lambda: server.client.predict(generation_request(**prompt), timeout=0.2))
    assert error.code() == StatusCode.DEADLINE_EXCEEDED
    # gRPC's own client gives up at its deadline: what counts is that the server has, too.
    server.wait_for_metric("predictd_generator_waiting", 0, timeout=0.5)
    assert time.monotonic() - started < 1
    assert not held.done()
    held.result()


def test_prompt_that_waits_for_a_worker_may_be_cancelled(server: PredictdProcess, client: Client) -> None:
    held = hold_worker(server, 1000)
    calls = [client.predict_future(generation_request(LONG)), client.predict_stream(stream_request(LONG))]
    server.wait_for_metric("predictd_generator_waiting", 2)
    for call in calls:
        call.cancel()
    server.wait_for_metric("predictd_generator_waiting", 0, timeout=0.5)
    assert not held.done()
    held.result()


def test_prompts_beyond_the_queue_are_refused_at_once(server: PredictdProcess, client: Client) -> None:
    held = hold_worker(server, 1000)
    waiting = [client.predict_future(generation_request(LONG, max_tokens=1)) for _ in range(CAPACITY)]
    server.wait_for_metric("predictd_generator_waiting", CAPACITY)
    for request in (
        generation_request(LONG),
        generation_request("short"),
        generation_request(token_ids=TokenIds(ids=[1])),
    ):
        error = rpc_error(partial(client.predict, request))
        assert error.code() == StatusCode.RESOURCE_EXHAUSTED
        assert "queue is full" in error.details()
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
    assert not held.done()
    for call in waiting:
        assert len(call.result().answers[0].tokens) == 1
    held.result()


def test_prompts_go_by_deadline(server: PredictdProcess, client: Client) -> None:
    held = hold_worker(server, 500)
    ended: list[str] = []
    calls = []
    for name, timeout in (("late", 20), ("early", 5)):
        call = client.predict_future(generation_request(LONG, max_tokens=1), timeout=timeout)
        call.add_done_callback(lambda _, name=name: ended.append(name))
        calls.append(call)
    held.result()
    eventually(lambda: len(ended) == 2, 10, "both answers")
    assert ended == ["early", "late"]


def test_sizes_are_checked_before_anything_waits(server: PredictdProcess, client: Client) -> None:
    held = hold_worker(server, 1000)
    many = Chat(messages=[ChatMessage(role="user")] * (MAX_LENGTH + 1))
    wrong = {
        "generation.text": {"text": "a" * (16 * MAX_LENGTH + 1)},
        "generation.chat": {"chat": Chat(messages=[ChatMessage(role="user", content="a" * (16 * MAX_LENGTH))])},
        "generation.chat.messages": {"chat": many},
        "generation.prompt": {"token_ids": TokenIds(ids=[1] * MAX_LENGTH)},
        "generation.max_tokens": {"text": LONG, "max_tokens": MAX_LENGTH},
        "generation.n": {"text": LONG, "n": 17},
        "generation.logit_bias": {"text": LONG, "logit_bias": dict.fromkeys(range(1025), 1)},
    }
    for field, options in wrong.items():
        error = rpc_error(partial(client.predict, generation_request(**options)))
        assert error.code() == StatusCode.INVALID_ARGUMENT
        assert field in field_violations(error)
    assert not held.done()
    held.result()


def test_drain_ends_prompts_that_wait_for_a_worker(generators: Path) -> None:
    with PredictdProcess(generators, flags=["--workers=1", "--drain-grace=300ms"]) as server:
        held = hold_worker(server, 2000)
        waiting = server.client.predict_future(generation_request(LONG))
        server.wait_for_metric("predictd_generator_waiting", 1)
        server.send_signal(signal.SIGTERM)
        started = time.monotonic()
        error = rpc_error(waiting.result)
        assert error.code() == StatusCode.UNAVAILABLE
        assert time.monotonic() - started < 1
        held.cancel()
        assert server.wait() == 0
        server.check_no_call_was_lost()


def test_tensor_model_is_served_beside_a_flood_of_prompts(server: PredictdProcess, client: Client) -> None:
    flood = [client.predict_future(generation_request(LONG, max_tokens=1)) for _ in range(300)]
    for _ in range(10):
        assert client.predict(slow_request(1), timeout=5).outputs
    codes = set()
    for call in flood:
        try:
            call.result()
            codes.add(StatusCode.OK)
        except grpc.RpcError as error:
            codes.add(error.code())
    assert codes <= {StatusCode.OK, StatusCode.RESOURCE_EXHAUSTED}
    assert StatusCode.OK in codes
