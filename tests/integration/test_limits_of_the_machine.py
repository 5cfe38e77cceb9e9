"""Little memory and few cores: what a model takes is known before it is taken, and threads are as many as cores."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy
import pytest

from generation import MAX_LENGTH, NAME, generation_request
from predictd_process import PredictdProcess, make_repository
from protocol import field_violations, float_tensor, predict_request, raw_tensor, rpc_error, state_name, to_array

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from model_folder import TensorSpec, model_toml

MIB = 1 << 20
# Of the tiny generator: 3 layers of keys and values of 2 heads of 32 numbers of half precision.
SLOT_BYTES = MAX_LENGTH * 3 * 2 * 2 * 32 * 2
ROW_BYTES = 16 * MIB


def limited_to(address_space: int) -> list[str]:
    return ["prlimit", f"--as={address_space}"]


def with_slots(generators: Path, folder: Path, slots: int) -> Path:
    """A repository with the tiny generator alone, of so many slots."""
    model = folder / NAME
    shutil.copytree(generators / NAME, model)
    settings = (model / "model.toml").read_text()
    (model / "model.toml").write_text(re.sub(r"^slots = \d+$", f"slots = {slots}", settings, flags=re.MULTILINE))
    return folder


@pytest.fixture(name="hungry", scope="module")
def fixture_hungry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model whose rows take 16 MiB each while it runs, and one of another kind."""
    import torch

    class Hungry(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.repeat(1, 4 << 20)[:, 1:2] + 1

    repository = make_repository(tmp_path_factory.mktemp("hungry") / "models", ["linear"])
    (repository / "hungry" / "1").mkdir(parents=True)
    torch.jit.script(Hungry()).save(str(repository / "hungry" / "1" / "model.pt"))
    specs = [TensorSpec("x", "FP32", [-1, 1])], [TensorSpec("y", "FP32", [-1, 1])]
    (repository / "hungry" / "model.toml").write_text(model_toml("takes much", *specs))
    return repository


@pytest.fixture(name="short_of_memory", scope="module")
def fixture_short_of_memory(hungry: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(hungry, ["--workers=1", "--loops=1"], before=limited_to(1 << 30)) as server:
        yield server


def test_a_batch_that_does_not_fit_makes_batches_smaller(short_of_memory: PredictdProcess) -> None:
    model = short_of_memory.client.get_model("hungry").model
    assert state_name(model.versions[0].state) == "READY"
    most = model.max_batch_size
    assert 1 <= most < 64
    warning = short_of_memory.wait_for_log(
        lambda record: record["level"] == "warning" and "largest batches" in record["msg"]
    )
    assert (warning["model"], warning["rows"], warning["max_batch_size"]) == ("hungry", most, 64)
    ready = short_of_memory.wait_for_log(lambda record: record["msg"] == "model ready" and record["model"] == "hungry")
    assert re.match(r"1 row [\d.]+ ms, ", ready["warmup"] + ", ")

    def request(rows: int) -> object:
        return predict_request("hungry", raw_tensor("x", numpy.arange(rows, dtype=numpy.float32).reshape(rows, 1)))

    answer = short_of_memory.client.predict(request(most))
    numpy.testing.assert_array_equal(to_array(answer.outputs[0])[:, 0], numpy.arange(most) + 1)
    error = rpc_error(lambda: short_of_memory.client.predict(request(most + 1)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert f"expected 1 to {most} rows, got {most + 1}" in field_violations(error)["inputs[0].shape"]
    assert "no memory here for a larger batch" in error.details()


def test_with_enough_memory_batches_are_as_large_as_the_model_allows(hungry: Path) -> None:
    with PredictdProcess(hungry, ["--workers=1"]) as server:
        assert server.client.get_model("hungry").model.max_batch_size == 64
        ready = server.wait_for_log(lambda record: record["msg"] == "model ready" and record["model"] == "hungry")
        assert "64 rows" in ready["warmup"]
        assert float(ready["runs_take"].split()[0]) >= 1
        assert ready["runs_take"].endswith("GiB")


def test_slots_take_no_memory_before_they_are_used(generators: Path, tmp_path: Path) -> None:
    """And warm-up leaves none taken."""
    taken = {}
    for slots in (1, 256):
        with PredictdProcess(with_slots(generators, tmp_path / str(slots), slots), ["--workers=1"]) as server:
            taken[slots] = server.own_bytes()
            server.client.predict(generation_request("Hello", max_tokens=3))
    assert 256 * SLOT_BYTES > 300 * MIB
    assert taken[256] - taken[1] < 20 * MIB


def test_a_cache_that_cannot_fit_is_refused_with_figures(generators: Path, tmp_path: Path) -> None:
    slots = 1024
    repository = with_slots(generators, tmp_path / "models", slots)
    (repository / "linear").symlink_to((generators / "linear").resolve())
    before = limited_to(2 << 30)
    with PredictdProcess(repository, ["--workers=1"], wait_until_serving=False, before=before) as server:
        server.wait_for_health("linear")
        server.wait_for_log(lambda record: "all models are loaded" in record["msg"])
        version = server.client.get_model(NAME).model.versions[0]
        assert state_name(version.state) == "FAILED"
        for figure in (
            f"{slots + 4} slots",
            f"max_length = {MAX_LENGTH}",
            "1.51 GiB when all are full",
            "1.5 MiB each",
        ):
            assert figure in version.reason
        fit = re.search(r"Of that length (\d+) slots would fit", version.reason)
        assert fit
        assert 100 < int(fit[1]) < slots
        record = server.wait_for_log(lambda record: record["msg"] == "no memory for a generator")
        assert record["slots"] == slots
        assert record["slot"] == "1.5 MiB"
        server.client.predict(predict_request("linear", float_tensor("x", numpy.zeros((1, 64)))))


def test_threads_are_as_many_as_cores_that_the_process_may_use(hungry: Path) -> None:
    with PredictdProcess(hungry, ["--loops=0"], before=["taskset", "-c", "0"]) as server:
        machine = server.wait_for_log(lambda record: record["msg"] == "what the process may use")
        listening = server.wait_for_log(lambda record: record["msg"] == "listening")
    assert (machine["cores"], machine["allowed_cores"]) == (1, 1)
    assert (listening["workers"], listening["loops"]) == (1, 1)
