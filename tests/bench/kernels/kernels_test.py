"""Tests of `scripts/bench kernels`. PREDICTD_BUILD_DIR names the build folder, which has bench_kernels."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.kernels.kernels import CONTEXTS, FORMATS, MODELS, PORTABLE_ROWS, Shape, matrix_bytes


def bench(*more: str) -> subprocess.CompletedProcess[str]:
    build = os.environ["PREDICTD_BUILD_DIR"]
    command = [sys.executable, "-m", "bench", "kernels", "--no-build", "--build-dir", build, "--quick", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


def test_every_point_is_measured_and_the_last_line_says_what_came_out(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = bench("--sets", "portable", "--models", "SmolLM2-135M", "--json", str(file))
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    line = f"kernels ratio={result['ratio']:.2f} worst={result['ratio']:.2f} (SmolLM2-135M)"
    assert done.stdout.splitlines()[-1] == line
    threads = len(result["bytes_per_second"])
    assert len(result["points"]) == threads * (5 * len(FORMATS) * len(PORTABLE_ROWS) + 2 * len(CONTEXTS))
    for point in result["points"]:
        # From a cached nothing to a second for the largest.
        assert all(1e-8 < seconds < 5 for seconds in point["seconds"]), point
    for samples in result["bytes_per_second"].values():
        assert all(1e8 < sample < 1e13 for sample in samples)


def test_a_kernel_set_that_there_is_not_is_named() -> None:
    done = bench("--sets", "mmx")
    assert done.returncode == 1
    assert 'no such kernel set here: "mmx"' in done.stderr
    assert "ratio=" not in done.stdout


@pytest.mark.parametrize(("form", "bits"), [("q4", 5), ("q8", 8.5), ("f16", 16)])
def test_bytes_are_those_of_packed_matrices(form: str, bits: float) -> None:
    assert matrix_bytes(form, Shape("any", 576, 1536, 1)) == 576 * 1536 * bits / 8


def test_shapes_are_those_of_the_models() -> None:
    shapes = {shape.name: (shape.outputs, shape.columns) for shape in MODELS["SmolLM2-135M"].shapes}
    assert shapes == {
        "qkv": (960, 576),
        "output": (576, 576),
        "gate_up": (3072, 576),
        "down": (576, 1536),
        "head": (49152, 576),
    }
