"""Stock clients that know no proto files can list, describe and call everything; health tells what can be called.

The environment variables GRPCURL and BUF name those programs; by default they are taken from .venv/bin.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from predictd_process import TEST_MODELS, PredictdProcess
from protocol import (
    ROOT,
    Client,
    dtype,
    error_details,
    float_tensor,
    predict_request,
    rpc_error,
    state_name,
    trailer,
)

GRPCURL = os.environ.get("GRPCURL", str(ROOT / ".venv/bin/grpcurl"))
BUF = os.environ.get("BUF", str(ROOT / ".venv/bin/buf"))
SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "inference.GRPCInferenceService",
    "predictd.v1.ModelService",
    "predictd.v1.PredictionService",
]
MODEL_METHODS = ["GetModel", "ListModels", "LoadModel", "ReloadModel", "SetTrafficSplit", "UnloadModel", "WatchModels"]
INFERENCE_METHODS = sorted(
    "ServerLive ServerReady ModelReady ServerMetadata ModelMetadata ModelInfer ModelStreamInfer ModelConfig "
    "ModelStatistics RepositoryIndex RepositoryModelLoad RepositoryModelUnload SystemSharedMemoryStatus "
    "SystemSharedMemoryRegister SystemSharedMemoryUnregister CudaSharedMemoryStatus CudaSharedMemoryRegister "
    "CudaSharedMemoryUnregister TraceSetting LogSettings".split()
)
REFLECTIONS = ["v1", "v1alpha"]
FIXED = {
    "model_name": "fixed",
    "request_id": "by hand",
    "inputs": [{"name": "a", "float_values": [1, 2.5, -3, 0, "Infinity", 6]}, {"name": "b", "int64_values": ["2"]}],
}
FIXED_OUTPUT = [2, 5, -6, 0, "Infinity", 12]
LINEAR_STREAM = {
    "predict": {"model_name": "linear", "inputs": [{"name": "x", "float_values": [0.5] * 192}]},
    "chunk_rows": "2",
    "on_error": "CHUNK_ERROR_POLICY_PER_ITEM",
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def output_of(*command: str) -> str:
    result = run(*command)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def json_documents(text: str) -> list[Any]:
    """The JSON documents that stand behind each other in a text."""
    decoder = json.JSONDecoder()
    documents = []
    text = text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:].strip()
    return documents


# --- grpcurl ---


def test_grpcurl_lists_and_describes_every_service(server: PredictdProcess) -> None:
    assert output_of(GRPCURL, "-plaintext", server.address, "list").split() == SERVICES
    for service in SERVICES:
        described = output_of(GRPCURL, "-plaintext", server.address, "describe", service)
        assert described.startswith(f"{service} is a service:")
    methods = output_of(GRPCURL, "-plaintext", server.address, "list", "predictd.v1.PredictionService").split()
    assert methods == ["predictd.v1.PredictionService.Predict", "predictd.v1.PredictionService.PredictStream"]
    message = output_of(GRPCURL, "-plaintext", server.address, "describe", "predictd.v1.PredictRequest")
    assert "repeated .predictd.v1.Tensor inputs = 4;" in message


@pytest.mark.parametrize(
    "name", ["PredictRequest", "PredictResponse", "PredictStreamRequest", "PredictStreamResponse", "Model", "Tensor"]
)
def test_grpcurl_describes_every_field_with_its_comment(server: PredictdProcess, name: str) -> None:
    described = output_of(GRPCURL, "-plaintext", server.address, "describe", f"predictd.v1.{name}").splitlines()
    fields = [index for index, line in enumerate(described) if re.search(r" = \d+;$", line)]
    assert fields
    for index in fields:
        assert described[index - 1].lstrip().startswith("//"), described[index]


def test_grpcurl_predicts_with_typed_json_and_sees_the_timings(server: PredictdProcess) -> None:
    method = "predictd.v1.PredictionService/Predict"
    text = output_of(GRPCURL, "-plaintext", "-v", "-d", json.dumps(FIXED), server.address, method)
    contents = text.partition("Response contents:\n")[2].partition("\nResponse trailers")[0]
    answer = json.loads(contents)
    assert (answer["model_name"], answer["request_id"]) == ("fixed", "by hand")
    (output,) = answer["outputs"]
    assert (output["name"], output["dtype"], output["shape"]) == ("c", "DATA_TYPE_FP32", ["2", "3"])
    assert output["float_values"] == FIXED_OUTPUT
    assert "server-timing: decode;dur=" in text


def test_grpcurl_sends_and_reads_strings_as_they_are(server: PredictdProcess) -> None:
    request = {"model_name": "strings", "inputs": [{"name": "text", "string_values": ["a", "Grüße"]}]}
    method = "predictd.v1.PredictionService/Predict"
    answer = json.loads(output_of(GRPCURL, "-plaintext", "-d", json.dumps(request), server.address, method))
    assert answer["outputs"][1]["string_values"][0] == "A"
    assert "bytes_values" not in answer["outputs"][1]


def test_grpcurl_reads_a_stream(server: PredictdProcess) -> None:
    method = "predictd.v1.PredictionService/PredictStream"
    text = output_of(GRPCURL, "-plaintext", "-d", json.dumps(LINEAR_STREAM), server.address, method)
    start, first, second, summary = json_documents(text)
    assert (start["start"]["total_rows"], start["start"]["total_chunks"]) == ("3", "2")
    assert first["rows"]["outputs"][0]["shape"] == ["2", "64"]
    assert (second["rows"]["first_row"], second["rows"]["row_count"]) == ("2", "1")
    assert summary == {"summary": {"rows_ok": "3"}}


def test_grpcurl_shows_which_field_is_wrong(server: PredictdProcess) -> None:
    wrong = {"model_name": "linear", "inputs": [{"name": "x", "float_values": [1, 2, 3]}]}
    method = "predictd.v1.PredictionService/Predict"
    result = run(GRPCURL, "-plaintext", "-format-error", "-d", json.dumps(wrong), server.address, method)
    assert result.returncode == 64 + grpc.StatusCode.INVALID_ARGUMENT.value[0]
    error = json.loads(result.stderr)
    assert error["message"] == "inputs[0].shape: expected a multiple of 64 elements for shape [-1,64], got 3"
    (details,) = error["details"]
    assert details["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert details["field_violations"][0]["field"] == "inputs[0].shape"


def test_grpcurl_reads_models_and_health(server: PredictdProcess) -> None:
    text = output_of(GRPCURL, "-plaintext", server.address, "predictd.v1.ModelService/ListModels")
    assert "digits" in [model["name"] for model in json.loads(text)["models"]]
    text = output_of(
        GRPCURL, "-plaintext", "-d", '{"service": "linear"}', server.address, "grpc.health.v1.Health/Check"
    )
    assert json.loads(text) == {"status": "SERVING"}


# --- buf curl ---


def buf_curl(server: PredictdProcess, path: str, *arguments: str) -> list[str]:
    url = f"http://{server.address}{path}"
    return [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments, url]


@pytest.mark.parametrize("reflection", REFLECTIONS)
def test_buf_lists_every_service_and_method(server: PredictdProcess, reflection: str) -> None:
    protocol = ("--reflect-protocol", f"grpc-{reflection}")
    assert output_of(*buf_curl(server, "", "--list-services", *protocol)).split() == SERVICES
    assert output_of(*buf_curl(server, "", "--list-methods", *protocol)).split() == [
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        *(f"inference.GRPCInferenceService/{name}" for name in INFERENCE_METHODS),
        *(f"predictd.v1.ModelService/{name}" for name in MODEL_METHODS),
        "predictd.v1.PredictionService/Predict",
        "predictd.v1.PredictionService/PredictStream",
    ]


@pytest.mark.parametrize("reflection", REFLECTIONS)
def test_buf_predicts_with_typed_json(server: PredictdProcess, reflection: str) -> None:
    arguments = ("--reflect-protocol", f"grpc-{reflection}", "-d", json.dumps(FIXED))
    answer = json.loads(output_of(*buf_curl(server, "/predictd.v1.PredictionService/Predict", *arguments)))
    assert answer["outputs"][0]["floatValues"] == FIXED_OUTPUT


def test_buf_reads_a_stream(server: PredictdProcess) -> None:
    arguments = ("-d", json.dumps(LINEAR_STREAM))
    events = json_documents(output_of(*buf_curl(server, "/predictd.v1.PredictionService/PredictStream", *arguments)))
    assert [next(iter(event)) for event in events] == ["start", "rows", "rows", "summary"]
    assert events[-1]["summary"] == {"rowsOk": "3"}


def test_buf_shows_an_error(server: PredictdProcess) -> None:
    result = run(*buf_curl(server, "/predictd.v1.PredictionService/Predict", "-d", '{"model_name": "nobody"}'))
    assert result.returncode == 8 * grpc.StatusCode.NOT_FOUND.value[0]
    assert json.loads(result.stderr)["code"] == "not_found"
    assert "no model 'nobody'" in json.loads(result.stderr)["message"]


# --- Python's reflection ---


def test_a_python_client_calls_both_methods_through_reflection_alone(server: PredictdProcess) -> None:
    database = ProtoReflectionDescriptorDatabase(server.channel)
    assert sorted(database.get_services()) == SERVICES
    pool = descriptor_pool.DescriptorPool(database)
    service = pool.FindServiceByName("predictd.v1.PredictionService")

    def messages(name: str) -> tuple[Any, Any]:
        method = service.methods_by_name[name]
        return tuple(message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))

    request_type, response_type = messages("Predict")
    predict = server.channel.unary_unary(
        "/predictd.v1.PredictionService/Predict", request_type.SerializeToString, response_type.FromString
    )
    answer = predict(json_format.ParseDict(FIXED, request_type()), timeout=30)
    assert json_format.MessageToDict(answer)["outputs"][0]["floatValues"] == FIXED_OUTPUT

    request_type, response_type = messages("PredictStream")
    assert service.methods_by_name["PredictStream"].server_streaming
    predict_stream = server.channel.unary_stream(
        "/predictd.v1.PredictionService/PredictStream", request_type.SerializeToString, response_type.FromString
    )
    events = list(predict_stream(json_format.ParseDict(LINEAR_STREAM, request_type()), timeout=30))
    assert [event.WhichOneof("event") for event in events] == ["start", "rows", "rows", "summary"]


@pytest.mark.parametrize("version", REFLECTIONS)
def test_reflection_answers_each_question_of_a_stream_in_turn(server: PredictdProcess, version: str) -> None:
    # The messages of both versions are the same on the wire.
    ask = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    question = reflection_pb2.ServerReflectionRequest
    answers = list(
        ask(
            iter(
                [
                    question(list_services=""),
                    question(file_containing_symbol="predictd.v1.Tensor"),
                    question(file_containing_symbol="predictd.v1.Nothing"),
                    question(file_by_filename="predictd/v1/model_service.proto"),
                    question(file_by_filename="../predictd/v1/model_service.proto"),
                    question(all_extension_numbers_of_type="predictd.v1.Tensor"),
                    question(),
                ]
            ),
            timeout=30,
        )
    )
    assert [answer.WhichOneof("message_response") for answer in answers] == [
        "list_services_response",
        "file_descriptor_response",
        "error_response",
        "file_descriptor_response",
        "error_response",
        "all_extension_numbers_response",
        "error_response",
    ]
    assert [answers[i].error_response.error_code for i in (2, 4, 6)] == [
        grpc.StatusCode.NOT_FOUND.value[0],
        grpc.StatusCode.NOT_FOUND.value[0],
        grpc.StatusCode.INVALID_ARGUMENT.value[0],
    ]
    assert answers[1].original_request.file_containing_symbol == "predictd.v1.Tensor"


# --- Health ---


def check(server: PredictdProcess, service: str) -> str:
    answer = health_pb2_grpc.HealthStub(server.channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=30
    )
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def test_health_of_the_server_and_of_each_model(server: PredictdProcess) -> None:
    assert check(server, "") == "SERVING"
    assert check(server, "digits") == "SERVING"
    assert check(server, "broken") == "NOT_SERVING"
    error = rpc_error(lambda: check(server, "nobody"))
    assert error.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("service", "status"),
    [("", "SERVING"), ("linear", "SERVING"), ("broken", "NOT_SERVING"), ("nobody", "SERVICE_UNKNOWN")],
)
def test_watch_says_at_once_how_it_is(server: PredictdProcess, service: str, status: str) -> None:
    watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest(service=service), timeout=30)
    assert health_pb2.HealthCheckResponse.ServingStatus.Name(next(watch).status) == status
    watch.cancel()
    server.wait_until_idle()


def test_watch_follows_models_from_loading_to_the_end_of_the_server() -> None:
    response = health_pb2.HealthCheckResponse
    with PredictdProcess(["heavy_load", "linear"], wait_until_serving=False) as server, server.new_channel() as channel:
        updates: dict[str, list[str]] = {"": [], "heavy_load": [], "linear": []}
        serving = {service: threading.Event() for service in updates}

        def watch(service: str) -> None:
            try:
                request = health_pb2.HealthCheckRequest(service=service)
                for update in health_pb2_grpc.HealthStub(channel).Watch(request, timeout=60):
                    updates[service].append(response.ServingStatus.Name(update.status))
                    if update.status == response.SERVING:
                        serving[service].set()
            except grpc.RpcError as error:
                updates[service].append(error.code().name)

        threads = [threading.Thread(target=watch, args=[service]) for service in updates]
        for thread in threads:
            thread.start()
        for service, event in serving.items():
            assert event.wait(timeout=60), f"{service!r} is not serving: {updates}"
        assert server.stop() == 0
        for thread in threads:
            thread.join()
        for seen in updates.values():
            # Who comes late misses the loading.
            assert seen[-3:] == ["SERVING", "NOT_SERVING", "UNAVAILABLE"], updates
            assert seen[:-3] in ([], ["NOT_SERVING"])


# --- Models ---


def test_models_are_listed_by_name_with_their_signatures(client: Client) -> None:
    models = {model.name: model for model in client.list_models().models}
    assert list(models) == sorted(models)
    digits = models["digits"]
    assert "Handwritten digits" in digits.description
    assert [
        (version.version, state_name(version.state), version.backend, version.reason) for version in digits.versions
    ] == [
        (2, "READY", "aotinductor", ""),
        (1, "READY", "torchscript", ""),
    ]
    assert [(spec.name, list(spec.shape)) for spec in digits.inputs] == [("image", [-1, 1, 8, 8])]
    assert [(spec.name, list(spec.shape)) for spec in digits.outputs] == [("probabilities", [-1, 10]), ("label", [-1])]
    assert (digits.batched, digits.max_batch_size) == (True, 64)
    assert (models["fixed"].batched, models["fixed"].max_batch_size) == (False, 1)
    for name, model in models.items():
        assert client.get_model(name).model == model


def test_a_model_is_described_with_all_that_a_request_must_keep_to(client: Client, tmp_path: Path) -> None:
    model = client.get_model("attention").model
    tokens, bias = model.inputs
    assert (tokens.name, list(tokens.pad_to), tokens.pad_like) == ("tokens", [4, 16, 64], "")
    assert (bias.name, list(bias.pad_to), bias.pad_like) == ("bias", [], "tokens")
    assert [(mask.name, mask.dtype, mask.mask_of) for mask in model.masks] == [("mask", dtype("BOOL"), "tokens")]
    assert [output.unpad for output in model.outputs] == ["tokens", "tokens", "", "", "", ""]
    limits = model.limits
    assert (limits.max_message_bytes, limits.queue_capacity, limits.queue_bytes) == (64 << 20, 1024, 256 << 20)
    assert (limits.HasField("max_deadline"), limits.response_cache_bytes) == (False, 0)
    assert not tokens.HasField("range")

    folder = tmp_path / "models" / "fixed"
    folder.mkdir(parents=True)
    (folder / "1").symlink_to(TEST_MODELS / "fixed" / "1")
    text = (TEST_MODELS / "fixed" / "model.toml").read_text()
    text = text.replace('name = "a"\n', 'name = "a"\nrange = [-0.1, 1e30]\n')
    text = text.replace('name = "b"\n', 'name = "b"\nrange = [-9223372036854775808, 9007199254740993]\n')
    (folder / "model.toml").write_text("response_cache_bytes = 1048576\nqueue_capacity = 7\n" + text)
    with PredictdProcess(folder.parent, flags=["--max-deadline=90s", "--default-deadline=1500ms"]) as server:
        model = server.client.get_model("fixed").model
        assert [(x.range.least, x.range.most) for x in model.inputs] == [
            ("-0.1", "1e+30"),
            ("-9223372036854775808", "9007199254740993"),
        ]
        limits = model.limits
        assert limits.max_deadline.ToTimedelta() == timedelta(seconds=90)
        assert limits.default_deadline.ToTimedelta() == timedelta(seconds=1.5)
        assert (limits.queue_capacity, limits.response_cache_bytes) == (7, 1 << 20)


def test_a_version_is_described_by_what_it_was_loaded_with(client: Client) -> None:
    model = client.get_model("linear").model
    (version,) = model.versions
    assert (model.described_version, version.version, version.device) == (1, 1, "cpu")
    assert client.get_model("linear", version=1).model == model
    broken = client.get_model("broken", version=1).model
    assert (broken.described_version, broken.versions[0].device) == (1, "")
    assert broken.inputs
    assert client.get_model("broken").model.described_version == 0
    for number, code in ((7, grpc.StatusCode.NOT_FOUND), (-1, grpc.StatusCode.INVALID_ARGUMENT)):
        with pytest.raises(grpc.RpcError) as caught:
            client.get_model("linear", version=number)
        assert caught.value.code() == code


def test_models_come_in_pages(client: Client) -> None:
    everything = client.list_models()
    names = [model.name for model in everything.models]
    assert len(names) > 3
    assert everything.next_page_token == ""
    assert names == sorted(names)
    pages: list[list[str]] = []
    token = ""
    while True:
        page = client.list_models(page_size=3, page_token=token)
        pages.append([model.name for model in page.models])
        token = page.next_page_token
        if not token:
            break
    assert [name for page in pages for name in page] == names
    assert {len(page) for page in pages[:-1]} == {3}
    with pytest.raises(grpc.RpcError) as caught:
        client.list_models(page_size=-1)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_model_that_could_not_be_loaded_is_listed_as_failed_with_the_reason(server: PredictdProcess) -> None:
    (version,) = server.client.get_model("broken").model.versions
    assert state_name(version.state) == "FAILED"
    record = server.wait_for_log(lambda record: record["msg"] == "model could not be loaded")
    assert (record["level"], record["model"], record["version"]) == ("error", "broken", 1)
    for text in (version.reason, record["cause"]):
        assert "archive" in text
        assert "frame #" not in text
    assert "/" not in version.reason
    assert len(version.reason) <= 403


def test_whoever_calls_a_model_that_failed_is_told_not_to_try_again(server: PredictdProcess) -> None:
    request = predict_request("broken")
    error = rpc_error(lambda: server.client.predict(request))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert server.client.get_model("broken").model.versions[0].reason in error.details()
    assert trailer(error, "grpc-retry-pushback-ms") == "-1"
    assert not error_details(error).details
    # gRPC's own retries keep to it.
    policy = {"maxAttempts": 5, "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1}
    config = {"methodConfig": [{"name": [{}], "retryPolicy": {**policy, "retryableStatusCodes": ["UNAVAILABLE"]}}]}
    calls = {"method": "Predict", "code": "UNAVAILABLE"}
    before = server.metric("predictd_requests_total", **calls)
    with server.new_channel(("grpc.service_config", json.dumps(config))) as channel:
        rpc_error(lambda: Client(channel).predict(request))
    server.wait_until_idle()
    assert server.metric("predictd_requests_total", **calls) == before + 1


@pytest.fixture(name="odd_models")
def fixture_odd_models(tmp_path: Path, test_models: Path) -> Iterator[PredictdProcess]:
    """A server of one good model among folders that are none, or wrong."""
    repository = tmp_path / "models"
    good = (test_models / "linear" / "model.toml").read_text()
    program = (test_models / "linear" / "1" / "model.pt").read_bytes()

    def add(name: str, toml: str | None, *files: str) -> None:
        (repository / name).mkdir(parents=True)
        if toml is not None:
            (repository / name / "model.toml").write_text(toml)
        for file in files:
            (repository / name / file).parent.mkdir(exist_ok=True)
            (repository / name / file).write_bytes(program)

    add("good", good, "1/model.pt", "3/model.pt", "03/model.pt", "next/model.pt")
    add("no-toml", None, "1/model.pt")
    add("no-version", good)
    add("two-files", good, "1/model.pt", "1/model.pt2")
    add("unknown-key", "batchsize = 3\n" + good, "1/model.pt")
    add("no-signature", 'description = "nothing"\n', "1/model.pt")
    add("wrong-signature", good.replace("[-1, 64]", "[-1, 32]"), "1/model.pt")
    add("missing-version", "version_policy = [1, 9]\n" + good, "1/model.pt")
    add("no-toml-syntax", "inputs = [\n", "1/model.pt")
    (repository / "file").write_text("")
    with PredictdProcess(repository) as server:
        yield server


def test_a_folder_that_is_wrong_fails_alone_and_says_why(odd_models: PredictdProcess) -> None:
    models = {model.name: model for model in odd_models.client.list_models().models}
    assert [(version.version, state_name(version.state)) for version in models.pop("good").versions] == [(3, "READY")]
    reasons = {}
    for name, model in models.items():
        (version,) = model.versions
        assert state_name(version.state) == "FAILED", name
        reasons[name] = version.reason
        error = rpc_error(partial(odd_models.client.predict, predict_request(name)))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert check(odd_models, name) == "NOT_SERVING"
    expected = {
        "no-version": "there is no version folder",
        "two-files": "version 1: expected either model.pt or model.pt2, found both",
        "unknown-key": "batchsize: unknown key",
        "no-signature": "inputs: expected at least one [[inputs]] table",
        "wrong-signature": "mat1 and mat2 shapes cannot be multiplied",
        "missing-version": "version_policy lists version 9",
        "no-toml-syntax": "line ",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in reasons[name]
        assert str(odd_models.repository) not in reasons[name]
    log = {
        (record["msg"].split(":")[0], record.get("model"), record.get("folder")) for record in odd_models.log_records()
    }
    assert ("a folder is no model", None, "no-toml") in log
    assert ("a folder is no version of its model", "good", "03") in log
    answer = odd_models.client.predict(predict_request("good", float_tensor("x", numpy.zeros((1, 64)))))
    assert answer.model_version == 3
