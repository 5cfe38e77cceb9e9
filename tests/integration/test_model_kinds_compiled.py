"""The kinds of models that torch.export takes, compiled by AOTInductor: they answer what PyTorch itself does, too.

Compiling takes seconds, so all of them are one package: it takes a dict of their requests and returns one of their
answers.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn

import model_kinds_arguments
import model_kinds_files
import model_kinds_outputs
from compiled_kinds import Package, R, cached, compile_package
from model_folder import TensorSpec, fingerprint, model_toml
from model_kinds import Kind
from predictd_process import PredictdProcess
from protocol import Parameter, predict_request, raw_tensor, to_arrays

SOURCES = (model_kinds_arguments, model_kinds_outputs, model_kinds_files)
KINDS: list[Kind] = [
    *model_kinds_arguments.ARGUMENT_KINDS,
    *model_kinds_outputs.OUTPUT_KINDS,
    *model_kinds_files.FILE_KINDS,
]
EXPORTED = [kind for kind in KINDS if kind.exports and kind.batched()]
ROWS = 2


class Bundle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kinds = nn.ModuleDict({kind.name: kind.build() for kind in EXPORTED})

    def forward(self, requests: dict[str, dict[str, torch.Tensor]]) -> dict[str, list[torch.Tensor]]:
        return {
            kind.name: list(kind.select(kind.call(self.kinds[kind.name], requests[kind.name]))) for kind in EXPORTED
        }


def requests() -> dict[str, dict[str, torch.Tensor]]:
    """Of each kind the first request, for several rows."""
    return {
        kind.name: {name: torch.cat([torch.as_tensor(value)] * ROWS) for name, value in kind.requests[0].items()}
        for kind in EXPORTED
    }


def package() -> Path:
    """All of them, compiled if that has not been done yet."""
    example = requests()
    shapes = {name: dict.fromkeys(request, R) for name, request in example.items()}
    source = "".join(inspect.getsource(module) for module in SOURCES) + inspect.getsource(Bundle)
    entry = Package(lambda: Bundle().eval(), source, (example,), dynamic_shapes=(shapes,))
    text = fingerprint() + source + inspect.getsource(compile_package)
    return cached("kinds", "pt2", text, lambda file: compile_package(entry, file))


@pytest.fixture(scope="module", name="answers")
def fixture_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, numpy.ndarray]]:
    """What the package answers, by kind and output."""
    repository = tmp_path_factory.mktemp("compiled_kinds") / "models"
    (repository / "kinds/1").mkdir(parents=True)
    inputs = [
        TensorSpec(f"r.{kind.name}.{entry.name}", entry.dtype, entry.shape)
        for kind in EXPORTED
        for entry in kind.inputs
    ]
    outputs = [
        TensorSpec(f"{kind.name}.{i}", entry.dtype, entry.shape)
        for kind in EXPORTED
        for i, entry in enumerate(kind.outputs)
    ]
    (repository / "kinds/model.toml").write_text(model_toml("kinds", inputs, outputs), encoding="utf-8")
    (repository / "kinds/1/model.pt2").symlink_to(package())
    tensors = [
        raw_tensor(f"r.{name}.{key}", value.numpy())
        for name, request in requests().items()
        for key, value in request.items()
    ]
    parameters = {"output_encoding": Parameter(string_value="raw")}
    with PredictdProcess(repository) as server:
        yield to_arrays(server.client.predict(predict_request("kinds", *tensors, parameters=parameters)))


@pytest.mark.parametrize("kind", EXPORTED, ids=lambda kind: kind.name)
def test_a_compiled_kind_answers_what_eager_does(answers: dict[str, Any], kind: Kind) -> None:
    for i, (name, value) in enumerate(kind.expected(requests()[kind.name]).items()):
        got = answers[f"{kind.name}.{i}"]
        numpy.testing.assert_allclose(
            got, numpy.asarray(value), rtol=1e-4, atol=max(kind.tolerance, 1e-5), err_msg=name
        )
