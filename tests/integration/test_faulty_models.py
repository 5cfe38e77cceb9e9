"""Models whose code fails, takes long or would end the process: their own calls end with an error, and nobody else
notices."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from predictd_process import PredictdProcess, make_repository
from protocol import predict_request, raw_tensor, rpc_error, slow_request, state_name, to_array

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from model_folder import TensorSpec, TomlValue, model_toml

ROWS = 4


def add_model(
    repository: Path, name: str, module: Any, inputs: list[TensorSpec], outputs: list[TensorSpec], **settings: TomlValue
) -> None:
    import torch

    folder = repository / name
    (folder / "1").mkdir(parents=True)
    torch.jit.script(module).save(str(folder / "1" / "model.pt"))
    (folder / "model.toml").write_text(model_toml(name, inputs, outputs, **settings), encoding="utf-8")


@pytest.fixture(name="repository", scope="module")
def fixture_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from torch import nn

    class Lookup(nn.Module):
        """Fails in a method of its own when an index is out of range."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.rand(10, 4))

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.embedding(x, self.table)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.embed(x)

    class Normalized(nn.Module):
        """Uses what goes into the normalization, too: who merges the two must not change that."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.norm = nn.BatchNorm1d(2)
            assert self.norm.running_mean is not None
            assert self.norm.running_var is not None
            self.norm.running_mean.copy_(torch.tensor([1.0, 2.0]))
            self.norm.running_var.fill_(9)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.linear(x)
            return hidden, self.norm(hidden)

    torch.manual_seed(5)
    repository = make_repository(tmp_path_factory.mktemp("faulty") / "models", ["linear", "slow"])
    add_model(
        repository,
        "lookup",
        Lookup().eval(),
        [TensorSpec("x", "INT64", [-1, 3])],
        [TensorSpec("y", "FP32", [-1, 3, 4])],
    )
    # No image that the warm-up tries is large enough for the kernel, so it fails.
    image = [-1, 3, -1, -1]
    add_model(
        repository,
        "conv",
        nn.Conv2d(3, 3, 300).eval(),
        [TensorSpec("x", "FP32", image)],
        [TensorSpec("y", "FP32", image)],
    )
    normalized = Normalized().eval()
    pair = [TensorSpec("hidden", "FP32", [-1, 2]), TensorSpec("normalized", "FP32", [-1, 2])]
    add_model(repository, "normalized", normalized, [TensorSpec("x", "FP32", [-1, 3])], pair)
    x = torch.arange(ROWS * 3, dtype=torch.float32).reshape(ROWS, 3)
    numpy.savez(repository / "normalized" / "expected.npz", x.numpy(), *(y.detach().numpy() for y in normalized(x)))
    return repository


def test_an_operator_that_fails_inside_a_method_fails_its_call_alone(repository: Path) -> None:
    with PredictdProcess(repository, wait_until_serving=False) as server:
        server.wait_for_log(lambda record: "all models are loaded" in record["msg"])
        conv = server.client.get_model("conv").model.versions[0]
        assert state_name(conv.state) == "FAILED"
        bad = predict_request("lookup", raw_tensor("x", numpy.array([[1, 2, 99]])))
        good = predict_request("lookup", raw_tensor("x", numpy.array([[1, 2, 3]])))
        # What LibTorch looked at when it failed was freed memory, and what that holds changes.
        for _ in range(30):
            error = rpc_error(lambda: server.client.predict(bad))
            assert error.code() == grpc.StatusCode.INTERNAL
            assert server.client.predict(good).outputs[0].shape == [1, 3, 4]


def test_a_module_answers_what_it_answers_in_python(repository: Path) -> None:
    x, *expected = numpy.load(repository / "normalized" / "expected.npz").values()
    with PredictdProcess(repository, wait_until_serving=False) as server:
        server.wait_for_health("normalized")
        outputs = server.client.predict(predict_request("normalized", raw_tensor("x", x))).outputs
    for output, values in zip(outputs, expected, strict=True):
        numpy.testing.assert_allclose(to_array(output), values, rtol=1e-5)


def test_a_model_that_is_quick_for_most_values_holds_no_loop_for_others(repository: Path) -> None:
    with PredictdProcess(repository, ["--loops=1"], wait_until_serving=False) as server:
        server.wait_for_health("slow")
        for _ in range(40):
            server.client.predict(slow_request(0))
        long = server.client.predict_future(slow_request(1500))
        health = health_pb2_grpc.HealthStub(server.channel)
        slowest = 0.0
        while not long.done():
            before = time.monotonic()
            health.Check(health_pb2.HealthCheckRequest(service="slow"), timeout=10)
            slowest = max(slowest, time.monotonic() - before)
        assert slowest < 0.5


def test_a_server_that_stops_waits_for_no_run_that_nobody_wants(repository: Path) -> None:
    with PredictdProcess(repository, ["--drain-grace=100ms"], wait_until_serving=False) as server:
        server.wait_for_health("slow")
        long = server.client.predict_future(slow_request(20_000))
        server.wait_for_metric("predictd_requests_running", 1, model="slow")
        before = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert long.code() == grpc.StatusCode.UNAVAILABLE
        assert server.wait() == 0
        assert time.monotonic() - before < 5


def test_a_server_that_stops_ends_a_warm_up(tmp_path: Path) -> None:
    import torch

    class SlowRows(torch.nn.Module):
        """Half a second for each row."""

        def __init__(self) -> None:
            super().__init__()
            self.rotation: torch.Tensor
            self.register_buffer("rotation", torch.linalg.qr(torch.randn(128, 128))[0])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = self.rotation
            for _ in range(12_000 * x.size(0)):
                state = torch.mm(state, self.rotation)
            return x + 0 * state.sum()

    repository = make_repository(tmp_path / "models", [])
    row = [-1, 1]
    add_model(
        repository, "slow_rows", SlowRows().eval(), [TensorSpec("x", "FP32", row)], [TensorSpec("y", "FP32", row)]
    )
    with PredictdProcess(repository, wait_until_serving=False) as server:
        server.wait_for_log(lambda record: record["msg"] == "listening")
        time.sleep(0.5)
        before = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - before < 4


def write_package(folder: Path, imports: list[str], settings: str = "") -> None:
    """A package whose library does nothing but call what compiled models call."""
    import torch

    (folder / "1").mkdir(parents=True)
    calls = "".join(f"void {name}(void); void call_{name}(void) {{ {name}(); }}\n" for name in imports)
    library = folder / "library.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=calls, text=True, check=True)
    writer = torch._C.PyTorchFileWriter(str(folder / "1" / "model.pt2"))
    content = library.read_bytes()
    writer.write_record("data/aotinductor/model/model.so", content, len(content))
    metadata = b'{"AOTI_DEVICE_KEY": "cpu"}'
    writer.write_record("data/aotinductor/model/model.wrapper_metadata.json", metadata, len(metadata))
    writer.write_end_of_file()
    spec = [TensorSpec("x", "FP32", [-1, 1])]
    (folder / "model.toml").write_text(settings + model_toml(folder.name, spec, spec), encoding="utf-8")


def test_a_package_that_could_end_the_process_is_refused(tmp_path: Path) -> None:
    both = ["GOMP_parallel", "aoti_torch_check"]
    repository = make_repository(tmp_path / "models", ["linear"])
    write_package(repository / "refused", both)
    write_package(repository / "allowed", both, "allow_parallel_regions = true\n")
    write_package(repository / "threads", both[:1])
    write_package(repository / "checks", both[1:])
    with PredictdProcess(repository, wait_until_serving=False) as server:
        server.wait_for_log(lambda record: "all models are loaded" in record["msg"])
        causes = {record["model"]: record["cause"] for record in server.log_records() if "cause" in record}
        assert "allow_parallel_regions" in causes.pop("refused")
        # The others are no models either, but that is found out later.
        assert sorted(causes) == ["allowed", "checks", "threads"]
        assert not any("allow_parallel_regions" in cause for cause in causes.values())
