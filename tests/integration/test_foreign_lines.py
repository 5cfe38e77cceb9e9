"""What libraries and models write to stderr and stdout comes in the form of the log."""

from __future__ import annotations

import json
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch

from predictd_process import PredictdProcess
from protocol import float_tensor, predict_request

CONFIG = """
inputs = [{name = "x", dtype = "FP32", shape = [-1, 1]}]
outputs = [{name = "y", dtype = "FP32", shape = [-1, 1]}]
"""


class Talks(torch.nn.Module):
    """Warns and prints with every request."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            print("sum", float(x.sum()))
            warnings.warn("an odd input")  # noqa: B028  # As people write it.
        return x * 2


@pytest.fixture(name="talking", scope="module")
def fixture_talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("talking") / "models"
    (repository / "talks" / "1").mkdir(parents=True)
    (repository / "talks" / "model.toml").write_text(CONFIG)
    torch.jit.script(Talks().eval()).save(str(repository / "talks" / "1" / "model.pt"))
    return repository


@pytest.fixture(name="server", scope="module")
def fixture_server(talking: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(talking) as server:
        yield server


def test_warnings_and_prints_of_models_are_records(server: PredictdProcess) -> None:
    for _ in range(300):
        server.client.predict(predict_request("talks", float_tensor("x", numpy.ones((1, 1)))))
    server.wait_for_log(lambda record: record["msg"] == "a library or a model warns")
    server.wait_for_log(lambda record: record["msg"] == "a model prints")
    records = server.log_records()
    (first, *more) = [record for record in records if record["msg"] == "a library or a model warns"]
    assert (first["level"], first["library"], first["detail"]) == ("warning", "torch", "an odd input")
    assert len(more) < 20
    prints = [record for record in records if record["msg"] == "a model prints"]
    # The first ones are of the warm-up.
    assert prints[-1]["detail"] == "sum 1."
    assert len(prints) <= 120


def test_every_line_is_json_whoever_writes_it(server: PredictdProcess) -> None:
    # As a library of the process would write: the descriptor that it has is this one.
    with Path(f"/proc/{server.pid}/fd/2").open("wb", buffering=0) as stderr:
        stderr.write(b"not JSON {\n\x1b[31mred\nno end")
    record = server.wait_for_log(lambda record: record.get("detail") == "no end")
    assert (record["level"], record["msg"]) == ("warning", "a library wrote to stderr")
    details = [record.get("detail") for record in server.log_records()]
    assert {"not JSON {", "\x1b[31mred"} <= set(details)


def test_the_last_words_of_a_server_that_crashes_are_told(talking: Path) -> None:
    with PredictdProcess(talking) as server:
        with Path(f"/proc/{server.pid}/fd/2").open("wb", buffering=0) as stderr:
            stderr.write(b"Intel MKL FATAL ERROR: something\n")
            server.send_signal(signal.SIGABRT)
        assert server.wait() == -signal.SIGABRT
        assert [record for record in server.log_records() if "FATAL" in record.get("detail", "")]


def test_grpc_says_more_if_it_is_asked_to(talking: Path) -> None:
    with PredictdProcess(talking, env={"GRPC_VERBOSITY": "debug", "GRPC_TRACE": "http"}) as server:
        server.client.list_models()
        server.wait_for_log(lambda record: record.get("library") == "grpc" and record["level"] == "info")
        for line in server.log_lines():
            json.loads(line)
