"""Generators by the Open Inference Protocol, as by Triton's backend for vLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import InferInput

from generation import generation_request
from open_inference import (
    outputs,
    text_inputs,
    text_of,
    triton_client,
    triton_error,
    triton_input,
)
from predictd_process import PredictdProcess

CODE = grpc.StatusCode


@pytest.fixture(scope="module", name="writer")
def fixture_writer(generators: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(generators, ["--workers=2"]) as server:
        yield server


GREEDY = {"temperature": 0, "max_tokens": 12, "ignore_eos": True}


def test_a_generator_answers_as_it_does_by_predict(writer: PredictdProcess) -> None:
    expected = writer.client.predict(generation_request("Once upon a time", max_tokens=12)).answers[0].text
    with triton_client(writer) as client:
        short = client.infer("tiny", text_inputs("Once upon a time", GREEDY, exclude_input_in_output=True))
        assert text_of(short) == [expected]
        assert text_of(client.infer("tiny", text_inputs("Once upon a time", GREEDY))) == ["Once upon a time" + expected]
        by_parameters = client.infer(
            "tiny", text_inputs("Once upon a time", exclude_input_in_output=True, stream=False), parameters=dict(GREEDY)
        )
        assert text_of(by_parameters) == [expected]
        assert not by_parameters.get_response().parameters
        as_text = {name: str(value).lower() for name, value in GREEDY.items()}
        assert text_of(
            client.infer("tiny", text_inputs("Once upon a time", as_text, exclude_input_in_output=True))
        ) == [expected]
        # The JSON object counts more.
        both = client.infer(
            "tiny", text_inputs("Once upon a time", GREEDY, exclude_input_in_output=True), parameters={"max_tokens": 1}
        )
        assert text_of(both) == [expected]


def test_a_generator_keeps_to_every_sampling_parameter(writer: PredictdProcess) -> None:
    sampling = {
        **GREEDY,
        "temperature": 1.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.01,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "seed": "18446744073709551615",
        "n": 3,
        "stop": ["qqqq", "zzzz"],
        "stop_token_ids": [1],
    }
    fields: dict[str, Any] = {name: value for name, value in sampling.items() if name != "ignore_eos"}
    request = generation_request("The", **{**fields, "seed": 2**64 - 1, "ignore_end": True})
    expected = [answer.text for answer in writer.client.predict(request).answers]
    assert len(set(expected)) == 3
    with triton_client(writer) as client:
        inputs = text_inputs("The", sampling, exclude_input_in_output=True)
        assert text_of(client.infer("tiny", inputs, outputs=outputs("text_output"))) == expected
        greedy = text_of(client.infer("tiny", text_inputs("The", GREEDY, exclude_input_in_output=True)))[0]
        stopped = client.infer(
            "tiny",
            text_inputs("The", {**GREEDY, "top_k": -1}, exclude_input_in_output=True),
            parameters={"stop": greedy[2:4]},
        )
        assert text_of(stopped) == [greedy[: greedy.index(greedy[2:4])]]


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        ({"max_tokens": "many"}, "sampling_parameters.max_tokens"),
        ({"max_tokens": 0}, "sampling_parameters.max_tokens"),
        ({"max_tokens": 1.5}, "sampling_parameters.max_tokens"),
        ({"temperature": -1}, "sampling_parameters.temperature"),
        ({"top_p": "NaN"}, "sampling_parameters.top_p"),
        ({"stop": [1]}, "sampling_parameters.stop"),
        ({"stop": [""]}, "sampling_parameters.stop[0]"),
        ({"stop_token_ids": "a"}, "sampling_parameters.stop_token_ids"),
        ({"n": 1e30}, "sampling_parameters.n"),
        ({"seed": -1}, "sampling_parameters.seed"),
        ({"best_of": 2}, "sampling_parameters.best_of"),
        ({"ignore_eos": 7}, "sampling_parameters.ignore_eos"),
        ({"temperature": None}, "sampling_parameters.temperature"),
    ],
    ids=json.dumps,
)
def test_wrong_sampling_parameters_are_named(writer: PredictdProcess, sampling: dict[str, object], field: str) -> None:
    with triton_client(writer) as client:
        code, message = triton_error(lambda: client.infer("tiny", text_inputs("a", sampling)))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith(f"{field}: expected ")


def test_wrong_inputs_of_a_generator_are_named(writer: PredictdProcess) -> None:
    broken = [triton_input("text_input", ["a"], "BYTES"), triton_input("sampling_parameters", ["{"], "BYTES")]
    deep = [broken[0], triton_input("sampling_parameters", ['{"a":' + "[" * 8000], "BYTES")]
    large = [broken[0], triton_input("sampling_parameters", ['{"stop": "' + "x" * 20000 + '"}'], "BYTES")]
    wrong: dict[str, list[InferInput]] = {
        "inputs: expected the input text_input, got none": text_inputs("a")[1:],
        "text_input: expected text in UTF-8": text_inputs(b"\xff"),
        "inputs[0].shape: expected shape [1], got [2]": [triton_input("text_input", ["a", "b"], "BYTES")],
        "inputs[1].name: expected one of text_input, stream,": [*text_inputs("a"), triton_input("image", [1.0])],
        "stream: expected false": text_inputs("a", stream=True),
        "sampling_parameters: expected a JSON object": broken,
        "sampling_parameters: expected a JSON": deep,
        "sampling_parameters: expected at most 16384 bytes": large,
        "text_input: expected ": text_inputs("a" * 100_000),
    }
    with triton_client(writer) as client:
        for words, inputs in wrong.items():
            code, message = triton_error(partial(client.infer, "tiny", inputs))
            assert code == "INVALID_ARGUMENT", words
            assert message.startswith(words), message
        parameters = {"stream": True}
        assert (
            triton_error(lambda: client.infer("tiny", text_inputs("a"), parameters=parameters))[0] == "INVALID_ARGUMENT"
        )
        code, message = triton_error(lambda: client.infer("tiny", text_inputs("a"), outputs=outputs("logits")))
        assert (code, message) == ("INVALID_ARGUMENT", "outputs[0].name: expected one of text_output, got 'logits'")
        prompt = text_inputs("a " * 2040, {"max_tokens": 2000})
        code, message = triton_error(lambda: client.infer("tiny", prompt))
        assert code == "INVALID_ARGUMENT"
        assert message.startswith("text_input: expected 1 to 2047 tokens")


def test_a_generators_parameters_and_time(writer: PredictdProcess) -> None:
    with triton_client(writer) as client:
        answer = client.infer(
            "tiny",
            text_inputs("a", {"max_tokens": 1}),
            parameters={"mine": 1},
            priority=1,
            timeout=20_000_000,
            request_id="g",
        ).get_response()
        assert (answer.id, answer.parameters["ignored_parameters"].string_param) == ("g", "mine")
        long = text_inputs("a", {"max_tokens": 2000, "ignore_eos": True, "n": 8})
        code, _ = triton_error(lambda: client.infer("tiny", long, timeout=20_000))
        assert code == "DEADLINE_EXCEEDED"
        writer.wait_for_metric("predictd_generator_slots_used", 0, model="tiny")


def test_a_generator_is_described_by_its_inputs(writer: PredictdProcess) -> None:
    with triton_client(writer) as client:
        metadata = client.get_model_metadata("tiny")
        assert [(x.name, x.datatype, list(x.shape)) for x in metadata.inputs] == [
            ("text_input", "BYTES", [1]),
            ("stream", "BOOL", [1]),
            ("sampling_parameters", "BYTES", [1]),
            ("exclude_input_in_output", "BOOL", [1]),
        ]
        assert [(x.name, x.datatype, list(x.shape)) for x in metadata.outputs] == [("text_output", "BYTES", [-1])]
        config = client.get_model_config("tiny").config
        assert [x.optional for x in config.input] == [False, True, True, True]
        assert (config.max_batch_size, config.instance_group[0].count) == (0, 1)
        assert config.model_transaction_policy.decoupled
        (stats,) = client.get_inference_statistics("tiny").model_stats
        assert (stats.name, stats.version, stats.inference_count) == ("tiny", "1", 0)
