"""When the server as a whole is healthy: what --ready says."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from predictd_process import TEST_MODELS, PredictdProcess, make_repository, run_predictd
from protocol import rpc_error, state_name

RESPONSE = health_pb2.HealthCheckResponse
ALL_THROUGH = ("all models are loaded: serving", "all models are loaded or have failed: not serving")


def health(server: PredictdProcess, service: str = "") -> str:
    request = health_pb2.HealthCheckRequest(service=service)
    status = health_pb2_grpc.HealthStub(server.channel).Check(request, timeout=10).status
    return str(RESPONSE.ServingStatus.Name(status))


def wait_until_through(server: PredictdProcess) -> dict[str, str]:
    return server.wait_for_log(lambda record: record["msg"].startswith(ALL_THROUGH))


@pytest.mark.parametrize(
    ("models", "ready", "status"),
    [
        (["linear", "broken"], "any", "SERVING"),
        (["broken"], "any", "NOT_SERVING"),
        ([], "any", "SERVING"),
        (["linear", "fixed"], "all", "SERVING"),
        (["linear", "broken"], "all", "NOT_SERVING"),
        (["linear", "broken"], "linear", "SERVING"),
        (["linear", "broken"], "linear,broken", "NOT_SERVING"),
    ],
)
def test_ready_chooses_the_models_that_the_servers_health_depends_on(
    models: list[str], ready: str, status: str
) -> None:
    with PredictdProcess(models, [f"--ready={ready}"], wait_until_serving=False) as server:
        record = wait_until_through(server)
        assert health(server) == status
        for model in models:
            assert health(server, model) == ("NOT_SERVING" if model == "broken" else "SERVING")
        if status == "NOT_SERVING":
            assert (record["level"], record["ready"]) == ("error", ready)
            assert record["failed"] == "broken"


def test_any_is_the_default_and_says_not_serving_if_every_model_failed() -> None:
    with PredictdProcess(["broken"], wait_until_serving=False) as server:
        wait_until_through(server)
        assert health(server) == "NOT_SERVING"


def test_the_server_is_healthy_when_the_named_models_are_though_others_load(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "models", [])
    (repository / "a").symlink_to(TEST_MODELS / "linear")
    for i in range(3):
        (repository / f"heavy{i}").symlink_to(TEST_MODELS / "heavy_load")
    with PredictdProcess(repository, ["--ready=a"]) as server:
        # This line is only written while others load.
        server.wait_for_log(lambda record: record["msg"].startswith("serving, while"))
        wait_until_through(server)
        assert health(server) == "SERVING"


def test_a_name_that_no_model_has_stops_the_start_and_is_named() -> None:
    flags = [f"--model-repository={TEST_MODELS}", "--log-format=json", "--listen=127.0.0.1:0", "--metrics-listen="]
    result = run_predictd(*flags, "--ready=linear,lineer")
    assert result.returncode == 1
    record = json.loads(result.stderr.splitlines()[-1])
    assert record["cause"].startswith("--ready: there is no model 'lineer'; there is ")


def test_a_version_that_is_half_there_costs_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "m"
    (folder / "2").mkdir(parents=True)
    (folder / "1").symlink_to(TEST_MODELS / "linear" / "1")
    config = (TEST_MODELS / "linear" / "model.toml").read_text()
    (folder / "model.toml").write_text('version_policy = "all"\n' + config)
    with PredictdProcess(tmp_path / "models") as server:
        newest, oldest = server.client.get_model("m").model.versions
        assert [(v.version, state_name(v.state)) for v in (newest, oldest)] == [(2, "FAILED"), (1, "READY")]
        assert newest.reason == "version 2: expected either model.pt or model.pt2, found neither"
        assert newest.backend == ""


def test_a_folder_of_one_model_in_place_of_the_repository_is_told() -> None:
    with PredictdProcess(TEST_MODELS / "linear") as server:
        record = server.wait_for_log(lambda record: "model.toml of its own" in record["msg"])
        assert record["level"] == "warning"
        assert rpc_error(lambda: server.client.get_model("linear")).code() == grpc.StatusCode.NOT_FOUND
