"""Triton's load generator, perf_analyzer, measures the server as it would Triton."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from open_inference import triton_client
from predictd_process import PredictdProcess
from protocol import ROOT

# scripts/setup puts the program there, and a library that it needs beside it.
FOLDER = ROOT / ".venv/lib/perf_analyzer"
REQUESTS = 200
# How it sends its requests.
WAYS = {
    "synchronous": ["--sync"],
    "asynchronous": ["--async"],
    "streaming": ["--async", "--streaming"],
}
MODELS = {
    "linear": ["-b", "2"],
    "strings": ["--shape=text:4"],
    # A BOOL is 0 or 1 here, and random bytes are not.
    "types": ["--input-data=zero"],
}


@pytest.fixture(scope="module", name="measured")
def fixture_measured() -> Iterator[PredictdProcess]:
    with PredictdProcess(list(MODELS), flags=["--shared-memory=system"]) as server:
        yield server


def measure(server: PredictdProcess, folder: Path, model: str, *arguments: str) -> None:
    """Runs it with four requests at a time; checks its report, and that the server has answered every request."""

    def answered(**labels: str) -> float:
        return server.metric("predictd_requests_total", method=method, **labels)

    method = "ModelStreamInfer.message" if "--streaming" in arguments else "ModelInfer"

    right, all_before = answered(code="OK"), answered()
    report = folder / "report.csv"
    command: list[str | Path] = [FOLDER / "perf_analyzer", "-m", model, "-u", server.address, "-i", "grpc"]
    command += ["--concurrency-range=4", f"--request-count={REQUESTS}", "-f", report, *MODELS[model], *arguments]
    libraries = {**os.environ, "LD_LIBRARY_PATH": str(FOLDER)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=libraries)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = csv.DictReader(report.read_text().splitlines())
    assert float(row["Inferences/Second"]) > 0
    assert float(row["Server Compute Infer"]) > 0, "of ModelStatistics"
    server.wait_until_idle()
    assert answered(code="OK") - right >= REQUESTS
    assert answered() - all_before == answered(code="OK") - right


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_measured(measured: PredictdProcess, tmp_path: Path, model: str, way: str) -> None:
    measure(measured, tmp_path, model, *WAYS[way])


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_measured_with_shared_memory(measured: PredictdProcess, tmp_path: Path, model: str) -> None:
    """Its inputs and outputs are in regions, of which it leaves none."""
    measure(measured, tmp_path, model, "--shared-memory=system", "--output-shared-memory-size=4096")
    assert measured.metric("predictd_requests_total", method="SystemSharedMemoryRegister", code="OK") >= 2
    with triton_client(measured) as client:
        assert not client.get_system_shared_memory_status().regions
