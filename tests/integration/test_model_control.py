"""Calls that load and unload models and hand out their traffic."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest

from changing_models import CONFIG, ROWS, Repository, callers, served, states
from open_inference import triton_client, triton_error, triton_input
from predictd_process import PredictdProcess, eventually, has, run_predictd
from protocol import Client, Parameter, TrafficSplit, predict_request, raw_tensor, rpc_error, state_name, to_arrays

CODE = grpc.StatusCode
EXPLICIT = ["--model-control=explicit", "--log-requests=none"]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def server(repository: Repository) -> Iterator[PredictdProcess]:
    with PredictdProcess(repository.path, flags=EXPLICIT) as server:
        yield server


@pytest.fixture
def canary(repository: Repository) -> Iterator[PredictdProcess]:
    """A server of versions 1 (stable) and 2 (canary), of which the newest gets what names none."""
    repository.add("scale", 2)
    repository.configure("scale", "labels = { stable = 1, canary = 2 }" + CONFIG)
    with PredictdProcess(repository.path, flags=[*EXPLICIT, "--load-model=*"]) as server:
        yield server


def split(shares: Mapping[str, int], **fields: Any) -> Any:
    return TrafficSplit(shares=[{"version": name, "weight": weight} for name, weight in shares.items()], **fields)


def request(value: float = 1, **fields: Any) -> Any:
    return predict_request("scale", raw_tensor("x", numpy.array([[value]], dtype=numpy.float32)), **fields)


def close_to(counts: Mapping[int, int], expected: Mapping[int, int]) -> bool:
    return set(counts) == set(expected) and all(abs(counts[version] - expected[version]) <= 2 for version in counts)


def answered(server: PredictdProcess, count: int, **fields: Any) -> Counter[int]:
    return Counter(int(server.client.predict(request(**fields)).model_version) for _ in range(count))


# --- Loading ---


def test_a_model_serves_from_its_load_to_its_unload(server: PredictdProcess) -> None:
    client = server.client
    assert states(server) == [(1, "UNLOADED", "")]
    assert not client.get_model("scale").model.loaded
    for _ in range(3):
        error = rpc_error(lambda: client.predict(request()))
        assert (error.code(), error.details()) == (CODE.UNAVAILABLE, "model 'scale' is not loaded")
        model = client.load_model("scale").model
        assert (model.loaded, [state_name(version.state) for version in model.versions]) == (True, ["READY"])
        assert served(server) == 1
        server.wait_for_health("scale")
        assert not client.unload_model("scale").model.loaded
        server.wait_for_health("scale", serving=False)
    # Loading an unloaded model, and unloading it twice, are no errors.
    assert not client.unload_model("scale").model.loaded


def test_models_to_load_at_the_start_are_named(repository: Repository) -> None:
    for name in ("one", "two", "three"):
        repository.configure(name)
        repository.add(name, 1)
    with PredictdProcess(repository.path, flags=[*EXPLICIT, "--load-model=one, three"]) as server:
        loaded = {model.name for model in server.client.list_models().models if model.loaded}
        assert loaded == {"one", "three"}
    with PredictdProcess(repository.path, flags=[*EXPLICIT, "--load-model=*"]) as server:
        assert all(model.loaded for model in server.client.list_models().models)
    wrong = run_predictd(
        f"--model-repository={repository.path}", *EXPLICIT, "--load-model=four", "--listen=127.0.0.1:0"
    )
    assert wrong.returncode == 1
    assert "four" in wrong.stderr
    wrong = run_predictd(f"--model-repository={repository.path}", "--load-model=one", "--listen=127.0.0.1:0")
    assert wrong.returncode == 2
    assert "--model-control explicit" in wrong.stderr


def test_a_load_says_why_it_failed_and_changes_nothing(server: PredictdProcess, repository: Repository) -> None:
    client = server.client
    client.load_model("scale")
    broken = repository.path / "scale" / "2"
    broken.mkdir()
    (broken / "model.pt").write_bytes(b"no archive")
    for load in (client.load_model, client.reload_model):
        error = rpc_error(lambda load=load: load("scale"))  # type: ignore[misc]
        assert error.code() == CODE.FAILED_PRECONDITION
        assert "version 2" in error.details()
        assert str(repository.path) not in error.details()
        assert served(server) == 1
    repository.configure("scale", "max_batch_size = -3" + CONFIG.replace("max_batch_size = 8", ""))
    error = rpc_error(lambda: client.load_model("scale"))
    assert error.code() == CODE.FAILED_PRECONDITION
    assert "max_batch_size" in error.details()
    assert served(server) == 1
    for name in ("", "other", "..", "../models/scale", "scale/1", "/etc", "x" * 1000, "sc\0ale"):
        for call in (client.load_model, client.unload_model, client.reload_model):
            error = rpc_error(lambda call=call, name=name: call(name))  # type: ignore[misc]
            assert error.code() == (CODE.NOT_FOUND if name else CODE.INVALID_ARGUMENT), name
    assert served(server) == 1


def test_no_call_fails_while_a_model_is_reloaded(server: PredictdProcess) -> None:
    server.client.load_model("scale")
    with callers(server) as answers:
        eventually(lambda: answers[1] > 100, 20, "all callers to call")
        files = server.open_files()
        for _ in range(20):
            server.client.reload_model("scale")
        eventually(lambda: server.open_files() <= files, 20, "files to be closed")
    assert set(answers) == {1}


def test_a_load_goes_on_when_its_call_ends(server: PredictdProcess, repository: Repository) -> None:
    future = server.client.channel.unary_unary("/predictd.v1.ModelService/LoadModel").future(b"\n\x05scale", timeout=30)
    server.wait_for_log(lambda record: record["msg"] == "loading a model")
    future.cancel()
    eventually(lambda: not rpc_fails(server), 20, "an answer")


def test_many_loads_and_unloads_at_once_end_in_order(server: PredictdProcess) -> None:
    errors: list[grpc.RpcError] = []

    def change(unload: bool) -> None:
        with server.new_channel() as channel:
            client = Client(channel)
            for _ in range(20):
                try:
                    client.unload_model("scale") if unload else client.load_model("scale")
                except grpc.RpcError as error:
                    errors.append(error)

    threads = [threading.Thread(target=change, args=(i % 2 == 0,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A load is told that somebody has unloaded its model meanwhile.
    assert {(error.code(), error.details()) for error in errors} <= {
        (CODE.ABORTED, "model 'scale' has been unloaded")
    }, errors
    server.client.load_model("scale")
    assert served(server) == 1


# --- Where it is let in ---


def test_changes_are_not_let_in_unless_the_server_says_so(repository: Repository) -> None:
    with PredictdProcess(repository.path) as server, triton_client(server) as triton:
        client = server.client
        for call in (client.load_model, client.unload_model, client.reload_model, client.set_traffic_split):
            assert rpc_error(lambda call=call: call("scale")).code() == CODE.PERMISSION_DENIED  # type: ignore[misc]
        assert triton_error(lambda: triton.load_model("scale"))[0] == "PERMISSION_DENIED"
        assert served(server) == 1


def test_changes_have_a_port_of_their_own(repository: Repository, tmp_path: Path) -> None:
    port_file = tmp_path / "control-port"
    flags = ["--control-listen=127.0.0.1:0", f"--control-port-file={port_file}", "--repository-settle-time=100ms"]
    with PredictdProcess(repository.path, flags=flags) as server:
        assert rpc_error(lambda: server.client.reload_model("scale")).code() == CODE.PERMISSION_DENIED
        with grpc.insecure_channel(f"127.0.0.1:{int(port_file.read_text())}") as channel:
            control = Client(channel)
            assert control.reload_model("scale").model.loaded
            control.set_traffic_split("scale", split({"1": 1}))
            error = rpc_error(lambda: control.unload_model("scale"))
            assert (error.code(), "--model-control explicit" in error.details()) == (CODE.FAILED_PRECONDITION, True)
            assert [model.name for model in control.list_models().models] == ["scale"]
            assert rpc_error(lambda: control.predict(request())).code() == CODE.UNIMPLEMENTED
            watch = control.watch_models()
            assert next(watch).model.name == "scale"
            server.stop()
            assert rpc_error(lambda: list(watch)).code() in (CODE.UNAVAILABLE, CODE.CANCELLED)


def test_tritonclient_loads_and_unloads(server: PredictdProcess) -> None:
    with triton_client(server) as triton:
        assert triton.get_model_repository_index().models[0].state == "UNAVAILABLE"
        assert not triton.is_model_ready("scale")
        triton.load_model("scale")
        assert triton.is_model_ready("scale")
        assert triton.infer("scale", [triton_input("x", ROWS)]).as_numpy("y").tolist() == ROWS.tolist()
        triton.unload_model("scale", unload_dependents=True)
        assert not triton.is_model_ready("scale")
        assert triton_error(lambda: triton.load_model("scale", config="{}"))[0] == "INVALID_ARGUMENT"
        assert triton_error(lambda: triton.load_model("other"))[0] == "NOT_FOUND"


# --- Watching ---


def test_a_watch_tells_of_everything_that_changes(server: PredictdProcess, repository: Repository) -> None:
    with server.new_channel() as channel:
        watch = Client(channel).watch_models()
        first = next(watch)
        assert (first.model.name, first.model.loaded) == ("scale", False)
        assert next(watch).started.models == 1

        def until(state: str) -> None:
            for event in watch:
                if [state_name(version.state) for version in event.model.versions] == [state]:
                    return

        server.client.load_model("scale")
        until("READY")
        server.client.unload_model("scale")
        until("UNLOADED")
        repository.configure("other")
        repository.add("other", 1)
        server.client.load_model("other")
        assert next(event for event in watch if event.model.name == "other").model.loaded
        server.client.set_traffic_split("other", split({"1": 3}))
        assert next(event for event in watch if event.model.traffic.shares).model.traffic.shares[0].weight == 3


def test_watches_are_few_and_end_with_the_server(repository: Repository) -> None:
    with PredictdProcess(repository.path, flags=["--max-endless-calls=3"]) as server:
        # The watch of health with which the test began has ended.
        server.wait_for_metric("predictd_requests_in_flight", 0)
        watches = [server.client.watch_models() for _ in range(3)]
        for watch in watches:
            assert next(watch).model.name == "scale"
        assert rpc_error(lambda: next(server.client.watch_models())).code() == CODE.RESOURCE_EXHAUSTED
        watches[0].cancel()
        eventually(lambda: served(server) == 1, 5, "an answer")
        server.send_signal(15)
        assert rpc_error(lambda: list(watches[1])).code() == CODE.UNAVAILABLE
        server.wait()


def test_a_watch_of_one_model_tells_of_no_other(server: PredictdProcess, repository: Repository) -> None:
    with server.new_channel() as channel:
        watch = Client(channel).watch_models("other")
        assert next(watch).started.models == 0
        server.client.load_model("scale")
        repository.configure("other")
        repository.add("other", 1)
        server.client.load_model("other")
        assert next(watch).model.name == "other"


# --- Traffic ---


def test_traffic_is_split_by_weight(canary: PredictdProcess) -> None:
    assert answered(canary, 20) == {2: 20}
    answer = canary.client.set_traffic_split("scale", split({"stable": 90, "canary": 10}))
    assert not answer.previous.shares
    assert [share.version for share in answer.model.traffic.shares] == ["stable", "canary"]
    assert close_to(answered(canary, 200), {1: 180, 2: 20})
    assert answered(canary, 10, model_version=2) == {2: 10}
    assert answered(canary, 10, model_label="stable") == {1: 10}
    # Rolled back by one call.
    answer = canary.client.set_traffic_split("scale", split({"stable": 1}))
    assert [share.weight for share in answer.previous.shares] == [90, 10]
    assert answered(canary, 20) == {1: 20}
    canary.client.set_traffic_split("scale")
    assert answered(canary, 20) == {2: 20}


def test_a_key_gets_the_same_version(canary: PredictdProcess) -> None:
    canary.client.set_traffic_split("scale", split({"stable": 1, "canary": 1}))
    chosen = Counter[int]()
    with triton_client(canary) as triton:
        for key in map(str, range(40)):
            parameters = {"traffic_key": Parameter(string_value=key)}
            versions = answered(canary, 3, parameters=parameters)
            assert len(versions) == 1, key
            by_metadata = canary.client.predict(request(), metadata=(("x-traffic-key", key),)).model_version
            triton_says = triton.infer(
                "scale", [triton_input("x", ROWS)], parameters={"traffic_key": key}
            ).get_response()
            assert {by_metadata, int(triton_says.model_version)} == set(versions), key
            chosen += versions
    assert min(chosen.values()) > 20, chosen
    wrong = request(parameters={"traffic_key": Parameter(int64_value=3)})
    assert rpc_error(lambda: canary.client.predict(wrong)).code() == CODE.INVALID_ARGUMENT


def test_wrong_splits_are_refused(canary: PredictdProcess) -> None:
    wrong = [
        TrafficSplit(),
        split({"": 1}),
        split({"stable": 0}),
        split({"stable": -1, "canary": 2}),
        split({str(i): 1 for i in range(1, 18)}),
        TrafficSplit(shares=[{"version": "stable", "weight": 1}, {"version": "stable", "weight": 1}]),
        split({"stable": 1}, shadow={"version": "canary"}),
        split({"stable": 1}, shadow={"version": "canary", "fraction": float("nan")}),
        split({"stable": 1}, rollback={"stable": "stable"}),
    ]
    for traffic in wrong:
        error = rpc_error(lambda traffic=traffic: canary.client.set_traffic_split("scale", traffic))  # type: ignore[misc]
        assert error.code() == CODE.INVALID_ARGUMENT, traffic
    for name in ("3", "other", "x" * 500):
        error = rpc_error(lambda name=name: canary.client.set_traffic_split("scale", split({name: 1})))  # type: ignore[misc]
        assert error.code() == CODE.FAILED_PRECONDITION, name
    assert answered(canary, 5) == {2: 5}


def executions(server: PredictdProcess, version: int) -> int:
    with triton_client(server) as triton:
        statistics = triton.get_inference_statistics("scale", str(version)).model_stats[0]
    return int(statistics.inference_count)


def test_a_shadow_gets_copies_and_nobody_its_answers(canary: PredictdProcess) -> None:
    traffic = split({"stable": 1}, shadow={"version": "canary", "fraction": 0.5})
    canary.client.set_traffic_split("scale", traffic)
    before = executions(canary, 2)
    for pair in range(20):
        for value in (pair, -pair):
            answer = canary.client.predict(request(value))
            assert (answer.model_version, to_arrays(answer)["y"].tolist()) == (1, [[float(value)]])
        copies = before + pair + 1
        eventually(lambda copies=copies: executions(canary, 2) == copies, 10, f"{copies} copies")  # type: ignore[misc]
    # Requests that name their version are not copied, and neither are wrong ones.
    answered(canary, 10, model_label="stable")
    rpc_error(lambda: canary.client.predict(predict_request("scale")))
    time.sleep(0.2)
    assert executions(canary, 2) == before + 20


def test_a_canary_that_fails_is_rolled_back(repository: Repository) -> None:
    repository.add_failing("scale", 2)
    repository.configure("scale", "warmup = false\nlabels = { stable = 1, canary = 2 }" + CONFIG)
    rule = {"stable": "stable", "max_failure_excess": 0.2, "min_requests": 10}
    with PredictdProcess(repository.path, flags=[*EXPLICIT, "--load-model=*"]) as server:
        server.client.set_traffic_split("scale", split({"stable": 1, "canary": 1}, rollback=rule))

        def is_rolled_back() -> bool:
            codes = set()
            for _ in range(20):
                try:
                    server.client.predict(request())
                except grpc.RpcError as error:
                    codes.add(error.code())
            assert codes <= {CODE.INTERNAL}
            return not codes

        eventually(is_rolled_back, 20, "no more failures")
        assert answered(server, 20) == {1: 20}
        record = server.wait_for_log(has("msg", "rolled back: one version gets all traffic"))
        assert "version 2 fails 100.0 %" in record["cause"]
        assert server.metric("predictd_model_rollbacks_total", model="scale") == 1


def test_splits_change_under_load_and_no_call_fails(canary: PredictdProcess) -> None:
    with callers(canary) as answers:
        for weight in range(40):
            canary.client.set_traffic_split("scale", split({"stable": weight, "canary": 39 - weight}))
            if weight % 10 == 0:
                canary.client.reload_model("scale")
    assert set(answers) == {1, 2}


# --- Idle models ---


def test_an_idle_model_is_unloaded_and_loaded_by_the_next_request(repository: Repository) -> None:
    with PredictdProcess(repository.path, flags=["--idle-unload=1s"]) as server:

        def is_asleep() -> bool:
            return states(server) == [(1, "UNLOADED", "")]

        for _ in range(2):
            eventually(is_asleep, 20, "the model to be unloaded")
            server.wait_for_health("scale")
            server.wait_for_health("")
            with callers(server) as answers:
                eventually(lambda answers=answers: answers[1] > 50, 20, "answers")  # type: ignore[misc]
                assert not is_asleep()
        eventually(is_asleep, 20, "the model to be unloaded")
        with triton_client(server) as triton:
            assert triton.is_model_ready("scale")
            triton.infer("scale", [triton_input("x", ROWS)])
        eventually(is_asleep, 20, "the model to be unloaded")
        error = rpc_error(lambda: server.client.predict(request(model_version=7)))
        assert error.code() == CODE.NOT_FOUND
        assert is_asleep()


def test_a_model_that_cannot_be_woken_is_tried_again(repository: Repository) -> None:
    flags = ["--idle-unload=1s", "--model-control=explicit", "--load-model=*", "--ready=scale"]
    with PredictdProcess(repository.path, flags=flags) as server:
        eventually(lambda: states(server) == [(1, "UNLOADED", "")], 20, "the model to be unloaded")
        model = repository.path / "scale" / "1" / "model.pt"
        content = model.read_bytes()
        model.write_bytes(b"no archive")
        error = rpc_error(lambda: server.client.predict(request()))
        assert error.code() == CODE.UNAVAILABLE
        assert "could not be loaded" in error.details()
        server.wait_for_health("scale", serving=False)
        model.write_bytes(content)
        eventually(lambda: not rpc_fails(server), 30, "an answer")
        server.wait_for_health("scale")


def rpc_fails(server: PredictdProcess) -> bool:
    try:
        server.client.predict(request())
    except grpc.RpcError:
        return True
    return False
