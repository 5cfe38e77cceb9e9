"""A repository whose models change while the server runs, and clients that must not notice."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy
import torch
from tritonclient.utils import InferenceServerException

from open_inference import triton_client, triton_input
from predictd_process import PredictdProcess, eventually
from protocol import Client, PredictStreamRequest, collect, predict_request, raw_tensor, state_name, to_arrays

ROWS = numpy.arange(1, 5, dtype=numpy.float32).reshape(4, 1)
REQUEST = predict_request("scale", raw_tensor("x", ROWS))
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


class Failing(torch.nn.Module):
    """Fails whatever it gets."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of order")
        return x


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
        self._put(model, version, Scale(factor or version))

    def add_failing(self, model: str, version: int) -> None:
        self._put(model, version, Failing())

    def _put(self, model: str, version: int, module: torch.nn.Module) -> None:
        copy = self._copies / f"{model}-{version}"
        copy.mkdir()
        torch.jit.script(module).save(str(copy / "model.pt"))
        copy.rename(self.path / model / str(version))

    def remove(self, model: str, version: int) -> None:
        shutil.rmtree(self.path / model / str(version))


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
    """Clients that call all the time, of both protocols, one with streams; yields how often each version has answered.
    No call may fail or be wrong."""
    ended = threading.Event()
    wrong: list[object] = []
    answers: Counter[int] = Counter()

    def check(version: int, *parts: object) -> None:
        rows = numpy.concatenate([to_arrays(part)["y"] for part in parts])
        if not numpy.array_equal(rows, ROWS * version):
            wrong.append((version, rows))
        answers[version] += 1

    def predict(client: Client) -> None:
        answer = client.predict(REQUEST)
        check(answer.model_version, answer)

    def stream(client: Client) -> None:
        events = collect(client.predict_stream(PredictStreamRequest(predict=REQUEST, chunk_rows=2)))
        check(events["start"][0].model_version, *events["rows"])

    def call(once: Callable[[Client], None]) -> None:
        try:
            with server.new_channel() as channel:
                client = Client(channel)
                while not ended.is_set():
                    once(client)
        except grpc.RpcError as error:
            wrong.append(error)

    def infer() -> None:
        try:
            with triton_client(server) as triton:
                while not ended.is_set():
                    answer = triton.infer("scale", [triton_input("x", ROWS)])
                    version = int(answer.get_response().model_version)
                    if not numpy.array_equal(answer.as_numpy("y"), ROWS * version):
                        wrong.append((version, answer.as_numpy("y")))
                    answers[version] += 1
        except InferenceServerException as error:
            wrong.append(error)

    threads = [threading.Thread(target=call, args=(predict if i % 2 else stream,)) for i in range(count - 1)]
    threads.append(threading.Thread(target=infer))
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]
