"""Models that come, change and go while the server runs."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy
import pytest
import torch

from predictctl import predictctl
from predictd_process import PredictdProcess, eventually, has
from protocol import Client, PredictStreamRequest, collect, predict_request, raw_tensor, state_name, to_arrays

ROWS = numpy.arange(1, 5, dtype=numpy.float32).reshape(4, 1)
REQUEST = predict_request("scale", raw_tensor("x", ROWS))
FLAGS = ["--repository-poll-interval=200ms", "--repository-settle-time=100ms", "--log-requests=none"]
CONFIG = """
inputs = [{ name = "x", dtype = "FP32", shape = [-1, 1] }]
outputs = [{ name = "y", dtype = "FP32", shape = [-1, 1] }]
max_batch_size = 8
"""


class Scale(torch.nn.Module):
    """Multiplies by a number."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Repository:
    """A model repository and what operators do to it. Version v of a model multiplies by v."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "models"
        self._copies = folder / "copies"
        self._copies.mkdir()
        self.configure("scale")
        self.add("scale", 1)

    def configure(self, model: str, config: str = CONFIG) -> None:
        (self.path / model).mkdir(parents=True, exist_ok=True)
        (self.path / model / "model.toml").write_text(config)

    def add(self, model: str, version: int, factor: int | None = None) -> None:
        """In one step, as from a copy beside it."""
        copy = self._copies / f"{model}-{version}"
        copy.mkdir()
        torch.jit.script(Scale(factor or version)).save(str(copy / "model.pt"))
        copy.rename(self.path / model / str(version))

    def remove(self, model: str, version: int) -> None:
        shutil.rmtree(self.path / model / str(version))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def server(repository: Repository) -> Iterator[PredictdProcess]:
    with PredictdProcess(repository.path, flags=FLAGS) as server:
        yield server


def served(server: PredictdProcess, model: str = "scale") -> int:
    """The version that answers."""
    answer = server.client.predict(predict_request(model, raw_tensor("x", ROWS)))
    assert to_arrays(answer)["y"][0, 0] == answer.model_version
    return int(answer.model_version)


def await_version(server: PredictdProcess, version: int, model: str = "scale") -> None:
    eventually(lambda: served(server, model) == version, 20, f"version {version} of {model}")


def states(server: PredictdProcess, model: str = "scale") -> list[tuple[int, str, str]]:
    versions = server.client.get_model(model).model.versions
    return [(version.version, state_name(version.state), version.reason) for version in versions]


def await_states(server: PredictdProcess, wanted: Callable[[list[tuple[int, str, str]]], bool]) -> None:
    eventually(lambda: wanted(states(server)), 20, lambda: f"other states than {states(server)}")


@contextmanager
def callers(server: PredictdProcess, count: int = 4) -> Iterator[Counter[int]]:
    """Clients that call all the time; yields how often each version has answered. No call may fail or be wrong."""
    ended = threading.Event()
    wrong: list[object] = []
    answers: Counter[int] = Counter()

    def check(version: int, *parts: object) -> None:
        rows = numpy.concatenate([to_arrays(part)["y"] for part in parts])
        if not numpy.array_equal(rows, ROWS * version):
            wrong.append((version, rows))
        answers[version] += 1

    def call(streams: bool) -> None:
        try:
            with server.new_channel() as channel:
                client = Client(channel)
                while not ended.is_set():
                    if streams:
                        events = collect(client.predict_stream(PredictStreamRequest(predict=REQUEST, chunk_rows=2)))
                        check(events["start"][0].model_version, *events["rows"])
                    else:
                        answer = client.predict(REQUEST)
                        check(answer.model_version, answer)
        except grpc.RpcError as error:
            wrong.append(error)

    threads = [threading.Thread(target=call, args=(i == 0,)) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]


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
    # Version 1 had gone, and is loaded again.
    await_states(server, lambda found: found == [(2, "READY", ""), (1, "READY", "")])
    assert dict(server.client.get_model("scale").model.labels) == {"stable": 1, "canary": 2}
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
