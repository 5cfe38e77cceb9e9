"""What model.toml says about the warm-up: inputs from files, drawn at random or written down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch

from predictd_process import PredictdProcess, eventually
from protocol import predict_request, raw_tensor, state_name

FLAGS = ["--repository-poll-interval=200ms", "--repository-settle-time=100ms", "--workers=1", "--loops=1"]
CONFIG = """
max_batch_size = 4
inputs = [
  { name = "image", dtype = "FP32", shape = [-1, 3, -1, -1] },
  { name = "size", dtype = "INT64", shape = [-1, 2] },
]
outputs = [{ name = "y", dtype = "FP32", shape = [-1] }]
"""


class Picky(torch.nn.Module):
    """Takes images of a certain brightness, with their sizes beside them: neither zeros nor made-up extents."""

    def forward(self, image: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        assert image.size(2) == int(size[0, 0]), "the size is wrong"
        assert image.size(3) == int(size[0, 1]), "the size is wrong"
        assert bool((image.mean((1, 2, 3)) > 0.5).all()), "too dark"
        return image.mean((1, 2, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "models" / "picky"
    (model / "1").mkdir(parents=True)
    torch.jit.script(Picky()).save(str(model / "1" / "model.pt"))
    (model / "model.toml").write_text(CONFIG)
    (model / "warmup").mkdir()
    write_image(model, 5, 7)
    return model


def write_image(model: Path, height: int, width: int) -> None:
    numpy.save(model / "warmup" / "image.npy", numpy.full((1, 3, height, width), 0.9, numpy.float32))
    numpy.save(model / "warmup" / "size.npy", numpy.array([[height, width]]))


@pytest.fixture
def server(folder: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(folder.parent, flags=FLAGS, wait_until_serving=False) as server:
        server.wait_for_log(lambda record: record["msg"].startswith("all models are loaded"))
        yield server


def reason(server: PredictdProcess) -> str:
    return str(server.client.get_model("picky").model.versions[0].reason)


def state(server: PredictdProcess) -> str:
    return state_name(server.client.get_model("picky").model.versions[0].state)


def test_a_model_that_takes_no_zeros_is_warmed_up_by_samples(server: PredictdProcess, folder: Path) -> None:
    assert state(server) == "FAILED"
    assert "say so with [[warmup_samples]] in model.toml" in reason(server)
    samples = """
        [[warmup_samples]]
        inputs.image = { file = "image.npy" }
        inputs.size = { file = "size.npy" }
        [[warmup_samples]]
        inputs.image = { shape = [-1, 3, 8, 9], random = [0.8, 1] }
        inputs.size = { values = [8, 9] }
    """
    (folder / "model.toml").write_text(CONFIG + samples)
    eventually(lambda: state(server) == "READY", 20, server.log_text)
    ready = server.wait_for_log(lambda record: record["msg"] == "model ready")
    for run in ("1 row of sample 0 ", "1 row of sample 1 ", "4 rows of sample 0 ", "4 rows of sample 1 "):
        assert run in ready["warmup"]
    image = numpy.full((1, 3, 2, 2), 0.7, numpy.float32)
    request = predict_request("picky", raw_tensor("image", image), raw_tensor("size", numpy.array([[2, 2]])))
    assert server.client.predict(request).outputs


def test_another_sample_file_loads_the_version_anew(server: PredictdProcess, folder: Path) -> None:
    sample = '[[warmup_samples]]\ninputs.image = { file = "image.npy" }\ninputs.size = { file = "size.npy" }\n'
    (folder / "model.toml").write_text(CONFIG + sample)
    eventually(lambda: state(server) == "READY", 20, server.log_text)
    numpy.save(folder / "warmup" / "size.npy", numpy.array([[6, 7]]))
    failure = server.wait_for_log(lambda record: "warmup_samples[0]" in record.get("cause", ""))
    assert "the size is wrong" in failure["cause"]
    assert any(state_name(version.state) == "READY" for version in server.client.get_model("picky").model.versions)
    write_image(folder, 6, 7)
    server.wait_for_log(lambda record: record["msg"] == "a version takes no more calls")
    assert state(server) == "READY"


LYING = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 99999999, 9999999)}"
NPY = b"\x93NUMPY\x01\x00"


@pytest.mark.parametrize(
    ("line", "content", "message"),
    [
        ('inputs.imgae = { file = "image.npy" }', None, "did you mean image?"),
        ('inputs.image = { file = "gone.npy" }', None, "warmup/gone.npy: cannot be read: No such file or directory"),
        ('inputs.image = { file = "bad.npy" }', NPY + b"\xff\xff{'descr'", "warmup/bad.npy: it is cut off"),
        (
            'inputs.image = { file = "bad.npy" }',
            NPY + len(LYING).to_bytes(2, "little") + LYING,
            "which are not those of FP32 [1,3,99999999,9999999]",
        ),
    ],
    ids=["unknown input", "missing file", "cut off", "lying header"],
)
def test_a_mistake_is_told_when_the_folder_is_read(
    server: PredictdProcess, folder: Path, line: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (folder / "warmup" / "bad.npy").write_bytes(content)
    (folder / "model.toml").write_text(f"{CONFIG}[[warmup_samples]]\n{line}\n")
    refusal = server.wait_for_log(lambda record: record["msg"] == "model has no valid configuration")
    assert refusal["cause"].startswith("model.toml: warmup_samples[0].inputs.")
    assert message in refusal["cause"]
    assert message in reason(server)
