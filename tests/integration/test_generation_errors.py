"""Wrong requests for a generator: each gets the right code, the path of the wrong field, and words that help."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from grpc import StatusCode

from generation import MAX_LENGTH, NAME, generation_request, stream_request
from predictd_process import PredictdProcess
from protocol import (
    Chat,
    ChatMessage,
    Client,
    Parameter,
    TokenIds,
    field_violations,
    float_tensor,
    predict_request,
    rpc_error,
)


@pytest.fixture(scope="module", name="server")
def fixture_server(generators: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(generators) as server:
        yield server


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    return server.client


@dataclass(frozen=True)
class Wrong:
    field: str
    words: str
    options: dict[str, Any]
    prompt: str | None = "Hello"


LONG_TEXT = "word " * MAX_LENGTH
WRONG = [
    Wrong("generation.prompt", "expected one of text, chat and token_ids, got none", {}, None),
    Wrong("generation.prompt", f"expected 1 to {MAX_LENGTH - 1} tokens, got at least {MAX_LENGTH}", {}, LONG_TEXT),
    Wrong("generation.text", f"fewer than {MAX_LENGTH} tokens, got 200000 bytes", {}, "a" * 200_000),
    Wrong(
        "generation.token_ids.ids[1]",
        "expected a token id from 0 to 319, got 320",
        {"token_ids": TokenIds(ids=[1, 320])},
        None,
    ),
    Wrong("generation.token_ids.ids[0]", "got -1", {"token_ids": TokenIds(ids=[-1])}, None),
    Wrong("generation.prompt", f"expected 1 to {MAX_LENGTH - 1} tokens, got 0", {"token_ids": TokenIds()}, None),
    Wrong("generation.chat.messages", "expected at least one message", {"chat": Chat()}, None),
    Wrong(
        "generation.chat.messages[0].role",
        "expected a role",
        {"chat": Chat(messages=[ChatMessage(content="Hi")])},
        None,
    ),
    Wrong(
        "generation.max_tokens",
        f"expected 1 to {MAX_LENGTH - 6}, as the prompt has 6 tokens",
        {"max_tokens": MAX_LENGTH - 5},
    ),
    Wrong("generation.max_tokens", f"expected 1 to {MAX_LENGTH - 1}, got 0", {"max_tokens": 0}),
    Wrong("generation.max_tokens", "got -1", {"max_tokens": -1}),
    Wrong("generation.max_tokens", f"got {MAX_LENGTH}", {"max_tokens": MAX_LENGTH}),
    Wrong("generation.temperature", "got -1", {"temperature": -1}),
    Wrong("generation.temperature", "got 101", {"temperature": 101}),
    Wrong("generation.temperature", "got nan", {"temperature": float("nan")}),
    *(
        Wrong(f"generation.{field}", f"got {value:g}", {field: value})
        for field in ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
        for value in (float("nan"), float("inf"), float("-inf"), 1.7e308, -1.7e308, -101.5)
    ),
    Wrong("generation.repetition_penalty", "expected 0.01 to 10, got 1e-300", {"repetition_penalty": 1e-300}),
    Wrong("generation.repetition_penalty", "got 4.94066e-324", {"repetition_penalty": 5e-324}),
    Wrong("generation.top_k", f"got {-(2**63)}", {"top_k": -(2**63)}),
    Wrong("generation.max_tokens", f"got {2**63 - 1}", {"max_tokens": 2**63 - 1}),
    Wrong("generation.max_tokens", f"got {-(2**63)}", {"max_tokens": -(2**63)}),
    Wrong("generation.n", f"got {2**31 - 1}", {"n": 2**31 - 1}),
    Wrong("generation.n", f"got {-(2**31)}", {"n": -(2**31)}),
    Wrong("generation.logprobs", f"got {2**31 - 1}", {"logprobs": 2**31 - 1}),
    Wrong("generation.logprobs", "got -1", {"logprobs": -1}),
    Wrong("generation.logit_bias[0]", "got nan", {"logit_bias": {3: float("nan")}}),
    Wrong("generation.logit_bias[0]", "got inf", {"logit_bias": {3: float("inf")}}),
    Wrong("generation.logit_bias", f"got {-(2**31)}", {"logit_bias": {-(2**31): 1}}),
    Wrong("generation.stop_token_ids[0]", f"got {2**31 - 1}", {"stop_token_ids": [2**31 - 1]}),
    Wrong("generation.token_ids.ids[0]", f"got {-(2**31)}", {"token_ids": TokenIds(ids=[-(2**31)])}, None),
    Wrong("generation.top_k", "got -1", {"top_k": -1}),
    Wrong("generation.top_p", "got 0", {"top_p": 0}),
    Wrong("generation.top_p", "got 1.5", {"top_p": 1.5}),
    Wrong("generation.min_p", "got -0.5", {"min_p": -0.5}),
    Wrong("generation.repetition_penalty", "got 0", {"repetition_penalty": 0}),
    Wrong("generation.repetition_penalty", "got 11", {"repetition_penalty": 11}),
    Wrong("generation.presence_penalty", "got 3", {"presence_penalty": 3}),
    Wrong("generation.frequency_penalty", "got -3", {"frequency_penalty": -3}),
    Wrong("generation.logit_bias", "expected a token id from 0 to 319, got 320", {"logit_bias": {320: 1}}),
    Wrong("generation.logit_bias[0]", "got 101", {"logit_bias": {3: 101}}),
    Wrong("generation.logprobs", "expected 0 to 20, got 21", {"logprobs": 21}),
    Wrong("generation.stop", "expected 0 to 16, got 17", {"stop": ["x"] * 17}),
    Wrong("generation.stop[1]", "expected 1 to 256 bytes, got 0", {"stop": ["x", ""]}),
    Wrong("generation.stop[0]", "got 257", {"stop": ["x" * 257]}),
    Wrong("generation.stop_token_ids", "expected 0 to 64, got 65", {"stop_token_ids": range(65)}),
    Wrong("generation.stop_token_ids[0]", "got 320", {"stop_token_ids": [320]}),
    Wrong("generation.n", "expected 1 to 16, got 0", {"n": 0}),
    Wrong("generation.n", "got 17", {"n": 17}),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.field} {wrong.words}")
def test_wrong_field_is_named(client: Client, wrong: Wrong) -> None:
    error = rpc_error(lambda: client.predict(generation_request(wrong.prompt, **wrong.options)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert wrong.words in field_violations(error)[wrong.field]
    streamed = rpc_error(lambda: list(client.predict_stream(stream_request(wrong.prompt, **wrong.options))))
    assert streamed.code() == StatusCode.INVALID_ARGUMENT
    assert wrong.words in field_violations(streamed)["predict." + wrong.field]


EDGES: list[dict[str, Any]] = [
    {"temperature": 5e-324},
    {"temperature": 1e-300, "top_p": 5e-324, "min_p": 1},
    {"temperature": 100, "top_k": 2**63 - 1},
    {"temperature": 1, "top_p": 1e-320, "top_k": 1},
    {"temperature": 1, "repetition_penalty": 0.01, "presence_penalty": -2, "frequency_penalty": 2},
    {"temperature": 1, "repetition_penalty": 10, "logit_bias": {0: -100, 319: 100}},
    {"temperature": 1, "seed": 2**64 - 1, "n": 16, "logprobs": 20},
    {"max_tokens": 1, "stop": ["x" * 256] * 16, "stop_token_ids": [0] * 64},
]


@pytest.mark.parametrize("options", EDGES, ids=str)
def test_numbers_at_the_edges_are_right(client: Client, options: dict[str, Any]) -> None:
    answers = client.predict(generation_request("Hello", **options)).answers
    assert len(answers) == options.get("n", 1)
    for answer in answers:
        assert 1 <= len(answer.tokens) <= 20
        for token in answer.tokens:
            assert 0 <= token.id < 320
            assert all(math.isfinite(top.logprob) for top in token.top_logprobs)


def test_everything_that_is_wrong_is_named_at_once(client: Client) -> None:
    request = generation_request("Hello", n=0, stop=[""])
    request.parameters["output_encoding"].CopyFrom(Parameter(string_value="raw"))
    request.parameters["priority"].CopyFrom(Parameter(int64_value=5))
    error = rpc_error(lambda: client.predict(request))
    assert set(field_violations(error)) == {
        'parameters["output_encoding"]',
        'parameters["priority"]',
        "generation.n",
        "generation.stop[0]",
    }


def with_inputs() -> Any:
    request = generation_request("Hello")
    request.inputs.append(float_tensor("x", [[1.0]]))
    return request


MISMATCHES: list[tuple[str, Callable[[], Any]]] = [
    ("takes tensors: put them into inputs", lambda: generation_request("Hello", model="linear")),
    (
        "generates text: put the prompt into generation",
        lambda: predict_request(NAME, float_tensor("x", numpy.zeros((1, 64)))),
    ),
    ("it has no inputs and outputs", with_inputs),
]


@pytest.mark.parametrize(("words", "request_for"), MISMATCHES, ids=[words for words, _ in MISMATCHES])
def test_request_for_another_kind_of_model(client: Client, words: str, request_for: Callable[[], Any]) -> None:
    error = rpc_error(lambda: client.predict(request_for()))
    assert error.code() == StatusCode.FAILED_PRECONDITION
    assert words in error.details()


def test_streams_options_for_rows_are_refused(client: Client) -> None:
    request = stream_request("Hello")
    request.chunk_rows = 4
    request.ordered = False
    request.on_error = 2
    error = rpc_error(lambda: list(client.predict_stream(request)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert set(field_violations(error)) == {"chunk_rows", "ordered", "on_error"}


def test_server_is_well_after_all_that(client: Client) -> None:
    assert len(client.predict(generation_request("Hello")).answers[0].tokens) == 20
