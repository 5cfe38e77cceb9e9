"""The Open Inference Protocol: its files, and what it says of the server and its models."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy
import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import InferenceServerClient, model_config_pb2, service_pb2

from open_inference import (
    METHOD,
    TYPES,
    slow_input,
    triton_client,
    triton_error,
    triton_input,
)
from predictd_process import TEST_MODELS, PredictdProcess, has
from protocol import (
    ROOT,
    float_tensor,
    predict_request,
    rpc_error,
)
from test_reflection_and_health import GRPCURL, output_of

CODE = grpc.StatusCode


@pytest.fixture(scope="module", name="triton")
def fixture_triton(server: PredictdProcess) -> Iterator[InferenceServerClient]:
    with triton_client(server) as client:
        yield client


# --- The protocol's files ---


def flatten(files: list[descriptor_pb2.FileDescriptorProto]) -> dict[str, object]:
    """What goes over the wire, by full name: messages, fields, values of enums, methods with who streams."""
    found: dict[str, object] = {}

    def add_messages(prefix: str, messages: object) -> None:
        for message in messages:  # type: ignore[attr-defined]
            name = f"{prefix}.{message.name}"
            found[name] = message.options.map_entry
            for field in message.field:
                oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
                kind = (field.type, field.type_name, field.label, field.proto3_optional, field.options.packed)
                found[f"{name}.{field.name}"] = (field.number, *kind, oneof)
            add_enums(name, message.enum_type)
            add_messages(name, message.nested_type)

    def add_enums(prefix: str, enums: object) -> None:
        for enum in enums:  # type: ignore[attr-defined]
            found.update({f"{prefix}.{enum.name}.{value.name}": value.number for value in enum.value})

    for file in files:
        add_messages(f".{file.package}", file.message_type)
        add_enums(f".{file.package}", file.enum_type)
        for service in file.service:
            for method in service.method:
                found[f".{file.package}.{service.name}.{method.name}"] = (
                    method.input_type,
                    method.output_type,
                    method.client_streaming,
                    method.server_streaming,
                )
    return found


def test_names_and_numbers_are_those_of_the_protocol(tmp_path: Path) -> None:
    theirs: dict[str, dict[str, object]] = {}
    for module in (service_pb2, model_config_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        theirs[file.name] = flatten([file])
    out = tmp_path / "ours.binpb"
    command: list[str | Path] = ["protoc", "-I", ROOT / "proto", "--include_imports", f"--descriptor_set_out={out}"]
    subprocess.run([*command, "inference/grpc_service.proto"], check=True)
    ours = {
        file.name: flatten([file])
        for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
        if file.package == "inference"
    }
    service = ours["inference/grpc_service.proto"]
    assert service[".inference.GRPCInferenceService.ModelStreamInfer"] == (
        ".inference.ModelInferRequest",
        ".inference.ModelStreamInferResponse",
        True,
        True,
    )
    # The protocol has these, and Triton's client does not know them.
    properties = {name: field for name, field in service.items() if "ropert" in name}
    assert {name.rpartition(".")[2] for name in properties} == {"PropertiesEntry", "properties", "key", "value"}
    assert {name: field for name, field in service.items() if name not in properties} == theirs["grpc_service.proto"]
    config = ours["inference/model_config.proto"]
    assert config
    assert config.items() <= theirs["model_config.proto"].items()


@pytest.mark.parametrize("name", ["ModelInferRequest", "ModelInferResponse", "ModelMetadataResponse", "ModelConfig"])
def test_grpcurl_describes_every_field_with_its_comment(server: PredictdProcess, name: str) -> None:
    described = output_of(GRPCURL, "-plaintext", server.address, "describe", f"inference.{name}").splitlines()
    fields = [index for index, line in enumerate(described) if line.endswith(";") and " = " in line]
    assert fields
    for index in fields:
        assert described[index - 1].lstrip().startswith("//"), described[index]


def test_grpcurl_infers_with_typed_json(server: PredictdProcess) -> None:
    request = {
        "model_name": "fixed",
        "id": "by hand",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [2, 3], "contents": {"fp32_contents": [1, 2, 3, 4, 5, 6]}},
            {"name": "b", "datatype": "INT64", "contents": {"int64_contents": ["2"]}},
        ],
    }
    command = [GRPCURL, "-plaintext", "-d", json.dumps(request), server.address, METHOD.strip("/") + "/ModelInfer"]
    answer = json.loads(output_of(*command))
    assert (answer["model_version"], answer["id"]) == ("1", "by hand")
    assert answer["outputs"] == [{"name": "c", "datatype": "FP32", "shape": ["2", "3"]}]
    assert len(answer["raw_output_contents"]) == 1


# --- Server and models ---


def test_a_server_is_live_and_ready_as_its_health_says(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()


def test_a_server_that_loads_is_live_and_not_ready() -> None:
    with (
        PredictdProcess(["heavy_load", "linear"], ["--ready=all"], wait_until_serving=False) as server,
        triton_client(server) as client,
    ):
        assert client.is_server_live()
        # Loading takes seconds.
        assert not client.is_server_ready()
        assert not client.is_model_ready("heavy_load")
        server.wait_for_health()
        assert client.is_server_ready()
        assert client.is_model_ready("heavy_load")


def test_a_server_that_drains_is_live_and_not_ready() -> None:
    with PredictdProcess(["linear"], ["--drain-delay=2s"]) as server, triton_client(server) as client:
        assert client.is_server_ready()
        server.send_signal(signal.SIGTERM)
        server.wait_for_log(has("msg", "draining"))
        assert client.is_server_live()
        assert not client.is_server_ready()
        # Until the delay is over, calls are served.
        assert client.infer("linear", [triton_input("x", numpy.ones((1, 64)))]).as_numpy("y").shape == (1, 64)
        assert server.wait() == 0


def test_a_model_is_ready_or_not(triton: InferenceServerClient) -> None:
    assert triton.is_model_ready("linear")
    assert triton.is_model_ready("linear", "1")
    assert triton.is_model_ready("digits", "2")
    for name, version in (("broken", ""), ("broken", "1"), ("nobody", ""), ("linear", "7"), ("linear", "x")):
        assert not triton.is_model_ready(name, version), (name, version)
    assert triton_error(lambda: triton.is_model_ready("linear", "0")) == (
        "INVALID_ARGUMENT",
        "version: expected \"\", the number of a version, or a label, got '0'",
    )
    assert triton_error(lambda: triton.is_model_ready(""))[0] == "INVALID_ARGUMENT"


def test_the_server_says_what_it_is(triton: InferenceServerClient) -> None:
    metadata = triton.get_server_metadata()
    assert metadata.name == "predictd"
    assert metadata.version.count(".") == 2
    assert set(metadata.extensions) == {"model_configuration", "parameters", "schedule_policy", "statistics"}


def test_a_model_is_described_by_its_signature(triton: InferenceServerClient, server: PredictdProcess) -> None:
    digits = triton.get_model_metadata("digits")
    assert (digits.name, list(digits.versions), digits.platform) == ("digits", ["2", "1"], "aotinductor")
    assert [(x.name, x.datatype, list(x.shape)) for x in digits.inputs] == [("image", "FP32", [-1, 1, 8, 8])]
    assert [(x.name, x.datatype, list(x.shape)) for x in digits.outputs] == [
        ("probabilities", "FP32", [-1, 10]),
        ("label", "INT64", [-1]),
    ]
    assert triton.get_model_metadata("digits", "1").platform == "torchscript"
    types = triton.get_model_metadata("types")
    assert [x.datatype for x in types.inputs] == list(TYPES)
    # Fields that this client does not know are in the message all the same.
    command = [GRPCURL, "-plaintext", "-d", '{"name": "digits"}', server.address, METHOD.strip("/") + "/ModelMetadata"]
    properties = json.loads(output_of(*command))["properties"]
    assert properties["kind"] == "tensor"
    assert properties["max_batch_size"] == "64"
    assert "Handwritten digits" in properties["description"]


def test_who_asks_for_what_does_not_exist_is_told_what_does(triton: InferenceServerClient) -> None:
    code, message = triton_error(lambda: triton.get_model_metadata("nobody"))
    assert code == "NOT_FOUND"
    assert "linear" in message
    assert triton_error(lambda: triton.get_model_metadata("linear", "7")) == (
        "NOT_FOUND",
        "model 'linear' has no version 7; there is 1",
    )
    code, message = triton_error(lambda: triton.infer("nobody", [slow_input(0)]))
    assert code == "NOT_FOUND"
    assert "linear" in message
    assert triton_error(lambda: triton.infer("linear", [slow_input(0)], model_version="0"))[0] == "INVALID_ARGUMENT"
    assert triton_error(lambda: triton.infer("broken", [slow_input(0)]))[0] == "UNAVAILABLE"


def test_what_is_not_served_says_what_to_use_instead(triton: InferenceServerClient) -> None:
    refused = {
        "System": lambda: triton.register_system_shared_memory("r", "/r", 4),
        "Cuda": triton.get_cuda_shared_memory_status,
        "Trace": triton.get_trace_settings,
        "Log": triton.get_log_settings,
    }
    for word, call in refused.items():
        code, message = triton_error(call)
        assert code == "UNIMPLEMENTED"
        assert word in message
        assert " is not served: " in message


# --- Configuration, statistics, repository ---


def test_a_models_configuration_is_what_its_toml_says(triton: InferenceServerClient, tmp_path: Path) -> None:
    config = triton.get_model_config("digits").config
    assert (config.name, config.backend, config.platform) == ("digits", "aotinductor", "aotinductor")
    assert config.default_model_filename == "model.pt2"
    assert (config.max_batch_size, [list(x.dims) for x in config.input]) == (64, [[1, 8, 8]])
    assert [(x.name, x.data_type, list(x.dims)) for x in config.output] == [
        ("probabilities", model_config_pb2.TYPE_FP32, [10]),
        ("label", model_config_pb2.TYPE_INT64, []),
    ]
    assert config.version_policy.WhichOneof("policy_choice") == "all"
    assert [(group.count, group.kind) for group in config.instance_group] == [
        (2, model_config_pb2.ModelInstanceGroup.KIND_CPU)
    ]
    batching = config.dynamic_batching
    assert (list(batching.preferred_batch_size), batching.max_queue_delay_microseconds) == ([], 0)
    assert (batching.priority_levels, batching.default_priority_level) == (5, 3)
    assert batching.default_queue_policy.max_queue_size == 1024
    assert not config.response_cache.enable
    fixed = triton.get_model_config("fixed").config
    assert (fixed.max_batch_size, [list(x.dims) for x in fixed.input]) == (0, [[2, 3], []])
    assert fixed.WhichOneof("scheduling_choice") is None
    types = triton.get_model_config("types").config
    names = [model_config_pb2.DataType.Name(x.data_type).removeprefix("TYPE_") for x in types.input]
    assert names == list(TYPES)
    assert triton_error(lambda: triton.get_model_config("nobody"))[0] == "NOT_FOUND"

    folder = tmp_path / "models" / "linear"
    folder.mkdir(parents=True)
    (folder / "1").symlink_to(TEST_MODELS / "linear" / "1")
    keys = 'max_queue_delay = "1500us"\npreferred_batch_sizes = [4, 8]\nqueue_capacity = 7\nmax_concurrency = 1\n'
    keys += "response_cache_bytes = 1000000\nversion_policy = [1]\n"
    (folder / "model.toml").write_text(keys + (TEST_MODELS / "linear" / "model.toml").read_text())
    with PredictdProcess(folder.parent, ["--workers=2"]) as server, triton_client(server) as client:
        config = client.get_model_config("linear").config
        batching = config.dynamic_batching
        assert (list(batching.preferred_batch_size), batching.max_queue_delay_microseconds) == ([4, 8], 1500)
        assert batching.default_queue_policy.max_queue_size == 7
        assert config.instance_group[0].count == 1
        assert config.response_cache.enable
        assert list(config.version_policy.specific.versions) == [1]


def test_statistics_count_what_was_done() -> None:
    with (
        PredictdProcess(["slow", "faulty", "linear"], ["--workers=1", "--loops=1"]) as server,
        triton_client(server) as client,
    ):
        assert {stats.name for stats in client.get_inference_statistics().model_stats} == {"slow", "faulty", "linear"}
        (before,) = client.get_inference_statistics("slow").model_stats
        assert (before.version, before.inference_count, before.execution_count, before.last_inference) == ("1", 0, 0, 0)

        started = time.time()
        client.infer("slow", [slow_input(20, rows=2)])
        busy = client.async_infer("slow", [slow_input(200)], lambda result, error: None)
        server.wait_for_metric("predictd_requests_running", 1, model="slow")
        waiting = [server.client.predict_future(predict_request("slow", float_tensor("x", [[1]]))) for _ in range(3)]
        for call in waiting:
            call.result()
        busy.cancel()
        server.wait_until_idle()
        (stats,) = client.get_inference_statistics("slow", "1").model_stats
        assert (stats.inference_count, stats.execution_count) == (6, 3)
        assert abs(stats.last_inference / 1000 - time.time()) < 60
        assert stats.last_inference / 1000 > started - 1
        requests = stats.inference_stats
        assert (requests.success.count, requests.queue.count, requests.compute_infer.count) == (5, 5, 5)
        assert (requests.compute_input.count, requests.compute_output.count) == (5, 5)
        assert requests.fail.count == 0
        assert requests.success.ns == requests.queue.ns + requests.compute_infer.ns
        # Three waited for most of the occupant's 200 ms.
        assert requests.queue.ns > 100_000_000
        sizes = {batch.batch_size: batch.compute_infer.count for batch in stats.batch_stats}
        assert sizes == {1: 1, 2: 1, 3: 1}
        assert {batch.batch_size: batch.compute_infer.ns > 1_000_000 for batch in stats.batch_stats} == dict.fromkeys(
            (1, 2, 3), True
        )

        assert triton_error(lambda: client.infer("faulty", [triton_input("x", [[-1]])]))[0] == "INTERNAL"
        (stats,) = client.get_inference_statistics("faulty").model_stats
        assert (stats.inference_stats.fail.count, stats.inference_stats.success.count, stats.execution_count) == (
            1,
            0,
            0,
        )
        assert triton_error(lambda: client.get_inference_statistics("nobody"))[0] == "NOT_FOUND"
        assert triton_error(lambda: client.get_inference_statistics("", "1"))[0] == "INVALID_ARGUMENT"


def test_the_repository_is_listed_with_states_and_reasons(triton: InferenceServerClient) -> None:
    index = [(x.name, x.version, x.state) for x in triton.get_model_repository_index().models]
    assert index == sorted(index, key=lambda entry: (entry[0], -int(entry[1])))
    assert ("digits", "2", "READY") in index
    assert ("digits", "1", "READY") in index
    assert ("broken", "1", "UNAVAILABLE") in index
    (broken,) = [x for x in triton.get_model_repository_index().models if x.name == "broken"]
    assert "archive" in broken.reason
    ready = service_pb2.RepositoryIndexRequest(ready=True)
    names = {x.name for x in triton._client_stub.RepositoryIndex(ready).models}
    assert names == {name for name, _, state in index if state == "READY"}
    other = service_pb2.RepositoryIndexRequest(repository_name="mine")
    assert rpc_error(lambda: triton._client_stub.RepositoryIndex(other)).code() == CODE.INVALID_ARGUMENT


def test_folders_that_are_wrong_and_versions_that_load_are_listed(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    (repository / "wrong").mkdir(parents=True)
    (repository / "wrong" / "model.toml").write_text("unknown = 1\n")
    (repository / "heavy_load").symlink_to(TEST_MODELS / "heavy_load")
    with PredictdProcess(repository, wait_until_serving=False) as server, triton_client(server) as client:
        index = {x.name: (x.version, x.state) for x in client.get_model_repository_index().models}
        # Loading takes seconds.
        assert index == {"heavy_load": ("1", "LOADING"), "wrong": ("", "UNAVAILABLE")}
        assert triton_error(lambda: client.get_inference_statistics("heavy_load"))[0] == "UNAVAILABLE"
        assert triton_error(lambda: client.get_model_config("wrong"))[0] == "UNAVAILABLE"
        assert client.get_model_config("heavy_load").config.max_batch_size > 0
        server.wait_for_health()
        assert client.get_inference_statistics("heavy_load").model_stats
