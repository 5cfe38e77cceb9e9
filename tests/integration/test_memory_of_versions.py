"""A version that does not fit into memory beside what serves is refused unread, and loaded once there is room."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch

from changing_models import Scale
from predictd_process import PredictdProcess, eventually, has
from protocol import predict_request, raw_tensor, state_name, to_arrays

MIB = 1 << 20
FLAGS = ["--repository-poll-interval=200ms", "--repository-settle-time=100ms", "--workers=1", "--loops=1"]
ROWS = numpy.ones((1, 1), dtype=numpy.float32)
CONFIG = """
inputs = [{ name = "x", dtype = "FP32", shape = [-1, 1] }]
outputs = [{ name = "y", dtype = "FP32", shape = [-1, 1] }]
max_batch_size = 1
"""


class Repository:
    """A model repository. Version v of a model multiplies by v."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "models"
        self._copies = folder / "copies"
        self._copies.mkdir()

    def add(self, model: str, version: int, padding: int = 0, claimed: int = 0) -> None:
        """In one step. The file is longer by so many bytes of zeros, or says that it is so long in all."""
        copy = self._copies / f"{model}-{version}"
        copy.mkdir()
        file = copy / "model.pt"
        torch.jit.save(torch.jit.script(Scale(version)), str(file), _extra_files={"padding": "\0" * padding})
        if claimed:
            os.truncate(file, claimed)
        (self.path / model).mkdir(parents=True, exist_ok=True)
        (self.path / model / "model.toml").write_text(CONFIG)
        copy.rename(self.path / model / str(version))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.add("scale", 1)
    return repository


@pytest.fixture
def server(repository: Repository) -> Iterator[PredictdProcess]:
    """Has some hundreds of MiB for models."""
    repository.add("filler", 1, padding=200 * MIB)
    with PredictdProcess(repository.path, FLAGS, before=["prlimit", f"--as={1 << 30}"]) as server:
        yield server


def states(server: PredictdProcess, model: str) -> list[tuple[int, str]]:
    return [(version.version, state_name(version.state)) for version in server.client.get_model(model).model.versions]


def reason(server: PredictdProcess, model: str) -> str:
    return str(server.client.get_model(model).model.versions[0].reason)


def await_refusal(server: PredictdProcess, model: str) -> None:
    failure = server.wait_for_log(
        lambda record: record["msg"] == "model could not be loaded" and record["model"] == model
    )
    assert "does not fit into memory" in failure["cause"]


def answer(server: PredictdProcess, model: str) -> float:
    return float(to_arrays(server.client.predict(predict_request(model, raw_tensor("x", ROWS))))["y"][0, 0])


def test_a_version_that_does_not_fit_leaves_the_one_that_serves(
    server: PredictdProcess, repository: Repository
) -> None:
    repository.add("scale", 2, claimed=64 << 30)
    failure = server.wait_for_log(has("msg", "model could not be loaded"))
    figures = r"the model does not fit into memory: its file has 64 GiB, and [\d.]+ [KMG]iB of [\d.]+ [MG]iB are left"
    assert re.match(figures, failure["cause"])
    assert re.match(figures, reason(server, "scale"))
    assert states(server, "scale") == [(2, "FAILED"), (1, "READY")]
    assert answer(server, "scale") == 1
    read = [record["file"] for record in server.log_records() if record["msg"] == "loading a model"]
    assert not [file for file in read if file.endswith("scale/2/model.pt")]


def test_what_did_not_fit_is_loaded_once_another_model_has_gone(
    server: PredictdProcess, repository: Repository
) -> None:
    repository.add("probe", 1, claimed=64 << 30)
    await_refusal(server, "probe")
    left = re.search(r"and ([\d.]+) MiB of .* are left", reason(server, "probe"))
    assert left, reason(server, "probe")
    shutil.rmtree(repository.path / "probe")
    # There is room for it without the filler only.
    repository.add("late", 3, padding=(int(float(left[1])) + 100) * MIB)
    await_refusal(server, "late")
    assert states(server, "late") == [(3, "FAILED")]
    shutil.rmtree(repository.path / "filler")
    eventually(lambda: states(server, "late") == [(3, "READY")], 20, lambda: f"the late model:\n{server.log_text()}")
    assert server.wait_for_log(lambda record: record["msg"].startswith("there is memory again"))
    assert (answer(server, "late"), answer(server, "scale")) == (3, 1)
