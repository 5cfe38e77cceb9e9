"""Models that come, change and go while the server runs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import torch

from changing_models import CONFIG, ROWS, Repository, await_states, await_version, callers, served, states
from predictctl import predictctl
from predictd_process import PredictdProcess, eventually, has
from protocol import predict_request, raw_tensor

FLAGS = ["--repository-poll-interval=200ms", "--repository-settle-time=100ms", "--log-requests=none"]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def server(repository: Repository) -> Iterator[PredictdProcess]:
    with PredictdProcess(repository.path, flags=FLAGS) as server:
        yield server


def test_a_new_version_takes_over_and_an_old_one_comes_back(server: PredictdProcess, repository: Repository) -> None:
    assert served(server) == 1
    repository.add("scale", 2)
    await_version(server, 2)
    await_states(server, lambda found: found == [(2, "READY", "")])
    repository.remove("scale", 2)
    await_version(server, 1)


def series(server: PredictdProcess, model: str) -> list[str]:
    return [name for (name, labels) in server.metrics() if ("model", model) in labels]


def test_models_come_and_go(server: PredictdProcess, repository: Repository) -> None:
    repository.configure("other")
    repository.add("other", 3)
    server.wait_for_health("other")
    assert served(server, "other") == 3
    shutil.rmtree(repository.path / "other")

    def is_gone() -> bool:
        try:
            served(server, "other")
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.NOT_FOUND
        return False

    eventually(is_gone, 20, "the model to go")
    # With the last reference to it.
    eventually(lambda: not series(server, "other"), 20, lambda: f"the series {series(server, 'other')} to go")


def test_a_changed_configuration_is_taken_and_a_wrong_one_changes_nothing(
    server: PredictdProcess, repository: Repository
) -> None:
    def limit() -> int:
        return int(server.client.get_model("scale").model.max_batch_size)

    repository.configure("scale", CONFIG.replace("= 8", "= 4"))
    eventually(lambda: limit() == 4, 20, "the new configuration")
    repository.configure("scale", CONFIG.replace("= 8", "= -3"))
    record = server.wait_for_log(has("msg", "model has no valid configuration"))
    assert "max_batch_size" in record["cause"]
    assert served(server) == 1
    assert limit() == 4
    await_states(server, lambda found: found[0][1] == "FAILED" and "max_batch_size" in found[0][2] and len(found) == 2)
    repository.configure("scale", CONFIG.replace("= 8", "= 2"))
    eventually(lambda: limit() == 2, 20, "the right configuration")
    await_states(server, lambda found: found == [(1, "READY", "")])


def test_labels_name_versions(server: PredictdProcess, repository: Repository) -> None:
    def version_of(label: str) -> int:
        return int(
            server.client.predict(predict_request("scale", raw_tensor("x", ROWS), model_label=label)).model_version
        )

    repository.add("scale", 2)
    await_version(server, 2)
    repository.configure("scale", "labels = { stable = 1, canary = 2 }" + CONFIG)
    labels = {"stable": 1, "canary": 2}
    eventually(lambda: dict(server.client.get_model("scale").model.labels) == labels, 20, "the labels")
    # Version 1 had gone, and is loaded again.
    await_states(server, lambda found: found == [(2, "READY", ""), (1, "READY", "")])
    assert (version_of("stable"), version_of("canary"), served(server)) == (1, 2, 2)
    x = raw_tensor("x", ROWS)
    for code, wrong in [
        (grpc.StatusCode.NOT_FOUND, predict_request("scale", x, model_label="other")),
        (grpc.StatusCode.INVALID_ARGUMENT, predict_request("scale", x, model_label="stable", model_version=1)),
    ]:
        with pytest.raises(grpc.RpcError) as caught:
            server.client.predict(wrong)
        assert caught.value.code() == code
    shown = predictctl(server, "model", "scale").stdout
    assert "canary" in shown
    answer = predictctl(server, "predict", "scale", "--label=stable", "--json-input=-", stdin=b'{"x": [[3]]}')
    assert "version 1" in answer.stdout, answer.stderr


def test_sighup_loads_what_could_not_be_loaded(server: PredictdProcess, repository: Repository) -> None:
    def failures() -> int:
        return len([record for record in server.log_records() if record["msg"] == "model could not be loaded"])

    folder = repository.path / "scale" / "2"
    folder.mkdir()
    (folder / "model.pt").write_bytes(b"no archive")
    await_states(server, lambda found: (2, "FAILED") in [state[:2] for state in found])
    before = failures()
    server.send_signal(signal.SIGHUP)
    eventually(lambda: failures() > before, 20, "another try")
    assert served(server) == 1


def test_without_model_control_everything_stays(repository: Repository) -> None:
    with PredictdProcess(repository.path, flags=["--model-control=none"]) as server:
        repository.add("scale", 2)
        server.send_signal(signal.SIGHUP)
        server.wait_for_log(has("msg", "a signal is ignored: there is nothing to reload"))
        assert served(server) == 1


def write(folder: Path, content: bytes, names: tuple[str, ...] = ("model.pt",)) -> None:
    for name in names:
        (folder / name).write_bytes(content)


BROKEN: dict[str, Callable[[Path], None]] = {
    "empty": lambda folder: None,
    "truncated": lambda folder: write(folder, b"PK\x03\x04 and no more"),
    "two-files": lambda folder: write(folder, b"x", ("model.pt", "model.pt2")),
    "no-archive": lambda folder: write(folder, b"text"),
    "link-to-nothing": lambda folder: (folder / "model.pt").symlink_to("/nowhere/model.pt"),
    "link-out": lambda folder: (folder / "model.pt").symlink_to("/etc/passwd"),
    "link-to-itself": lambda folder: (folder / "model.pt").symlink_to("model.pt"),
    "pipe": lambda folder: os.mkfifo(folder / "model.pt"),
    "folder": lambda folder: (folder / "model.pt").mkdir(),
    "other-signature": lambda folder: torch.jit.script(torch.nn.Bilinear(2, 2, 2)).save(str(folder / "model.pt")),
}
WRONG_CONFIGS = [
    "",
    "max_batch_size",
    "inputs = 3",
    CONFIG + "unknown = 1\n",
    CONFIG.replace("FP32", "FP99"),
    CONFIG.replace("[-1, 1]", "[-2, 1]"),
    CONFIG + "version_policy = 'newest'\n",
    CONFIG + "[generator]\nslots = 0\n",
    "\xff\xfe",
]


def test_broken_folders_change_nothing(server: PredictdProcess, repository: Repository) -> None:
    with callers(server, 2) as answers:
        for number, (name, break_it) in enumerate(BROKEN.items(), start=2):
            folder = repository.path / "scale" / str(number)
            folder.mkdir()
            break_it(folder)

            def has_failed(number: int = number) -> bool:
                return (number, "FAILED") in [state[:2] for state in states(server)]

            eventually(has_failed, 20, f"{name} to fail")
            assert served(server) == 1
            shutil.rmtree(folder)
        for config in WRONG_CONFIGS:
            repository.configure("scale", config)
            await_states(server, lambda found: found[0][:2] == (0, "FAILED"))
            assert served(server) == 1
            repository.configure("scale")
            await_states(server, lambda found: found == [(1, "READY", "")])
        for name in ("..x", "-1", "01", "a b", "\u00e9", "x" * 200):
            (repository.path / name).mkdir()
            (repository.path / name / "model.toml").write_text("wrong = true")
    assert set(answers) == {1}


def test_a_folder_that_goes_while_it_is_loaded_changes_nothing(server: PredictdProcess, repository: Repository) -> None:
    with callers(server, 2) as answers:
        for version in range(2, 12):
            repository.add("scale", version)
            folder = str(repository.path / "scale" / str(version))

            def begins(record: dict[str, object], folder: str = folder) -> bool:
                return record["msg"] == "loading a model" and str(record["file"]).startswith(folder)

            server.wait_for_log(begins)
            shutil.rmtree(folder)
        await_states(server, lambda found: found == [(1, "READY", "")])
    # A version may have served for a moment.
    assert answers[1] > 0


def test_a_generator_without_its_tokenizer_says_so(server: PredictdProcess, repository: Repository) -> None:
    repository.configure("text", "kind = 'generator'\n[generator]\nvocabulary_size = 9\nmax_length = 8\nslots = 1\n")
    (repository.path / "text" / "1").mkdir()
    (repository.path / "text" / "1" / "model.pt").write_bytes(b"no archive")
    record = server.wait_for_log(lambda record: record.get("model") == "text" and "cause" in record)
    assert record["level"] == "error"
    assert served(server) == 1


def test_versions_change_under_load_and_no_call_fails(server: PredictdProcess, repository: Repository) -> None:
    def change(first: int, last: int) -> None:
        for version in range(first, last + 1):
            repository.add("scale", version)
            await_version(server, version)
            repository.remove("scale", version - 1)

    def used() -> tuple[int, int]:
        return server.open_files(), len(list(Path(f"/proc/{server.pid}/task").iterdir()))

    with callers(server) as answers:
        change(2, 40)
        resident = server.resident_bytes()
        files, threads = used()
        change(41, 200)
        await_states(server, lambda found: found == [(200, "READY", "")])
        assert server.resident_bytes() - resident < 24 << 20
        eventually(lambda: used()[0] <= files, 20, lambda: f"files to be closed, {used()[0]} of {files}")
        # gRPC starts some more when it has much to do.
        assert used()[1] <= threads + 8
    assert len(answers) >= 190
