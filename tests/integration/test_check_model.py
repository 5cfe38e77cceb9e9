"""predictd --check-model loads a model as the server does, says what it found, and ends; --check-model-files only reads
the model's folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from generation import NAME
from predictd_process import TEST_MODELS, PredictdProcess, run_predictd

CONFIG = """
inputs = [{ name = "x", dtype = "FP32", shape = [-1, 4] }]
outputs = [{ name = "y", dtype = "FP32", shape = [-1, 4] }]
"""


class Twice(torch.nn.Module):
    """Takes what `CONFIG` says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """A model's folder that is in no repository."""
    folder = tmp_path / "twice"
    (folder / "1").mkdir(parents=True)
    (folder / "model.toml").write_text(CONFIG)
    torch.jit.script(Twice()).save(str(folder / "1" / "model.pt"))
    return folder


# --- The whole model ---


def test_a_tensor_model_is_described_as_the_server_would(twice: Path) -> None:
    shutil.copytree(twice / "1", twice / "2")
    (twice / "v3").mkdir()
    (twice / "model.toml").write_text('version_policy = "all"\nmax_batch_size = 4\n' + CONFIG)
    result = run_predictd(f"--check-model={twice}", "--workers=1")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{twice}: a tensor model, version 2, 1"
    assert lines[1] == "  the folder v3 is no version: those are named 1, 2, ... without leading zeros"
    assert re.fullmatch(r"version 2: a TorchScript module of [\d.]+ KiB, ready after [\d.e-]+ s", lines[2])
    assert lines[3:6] == ["  input x FP32 [-1,4]", "  output y FP32 [-1,4]", "  max_batch_size 4"]
    assert re.fullmatch(r"  warm-up: 1 row [\d.]+ ms, 2 rows [\d.]+ ms, 4 rows [\d.]+ ms", lines[6])
    assert sum(line.startswith("version ") for line in lines) == 2


def test_a_generator_is_described_with_its_memory(generators: Path) -> None:
    result = run_predictd(f"--check-model={generators / NAME}")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^version 1: a TorchScript module of .*, ready after", result.stdout, re.MULTILINE)
    assert re.search(
        r"^  slots \d+, prefix_slots \d+: a KV cache of [\d.]+ MiB when all are full, 1\.5 MiB each$",
        result.stdout,
        re.MULTILINE,
    )
    assert "  for chats\n" in result.stdout


def test_every_version_that_is_wrong_is_told(twice: Path) -> None:
    class Other(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(1)

    for version in (2, 3):
        (twice / str(version)).mkdir()
    torch.jit.script(Other()).save(str(twice / "2" / "model.pt"))
    (twice / "3" / "model.pt").write_bytes(b"no module")
    (twice / "model.toml").write_text('version_policy = "all"\n' + CONFIG)
    result = run_predictd(f"--check-model={twice}")
    assert result.returncode == 1
    assert f"{twice}: version 3: " in result.stderr
    assert f"{twice}: version 2: warm-up failed: " in result.stderr
    assert "output y is FP32[1], its signature says FP32[-1,4]" in result.stderr
    assert "version 1: a TorchScript module" in result.stdout


def test_a_model_that_does_not_run_is_said_to_be_untried(twice: Path) -> None:
    (twice / "model.toml").write_text("warmup = false\n" + CONFIG)
    result = run_predictd(f"--check-model={twice}")
    assert result.returncode == 0
    assert "  it has not run, as warmup = false\n" in result.stdout


def test_it_works_beside_a_server_with_the_same_options(twice: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    shutil.copytree(twice, repository / "twice")
    with PredictdProcess(repository, ["--workers=1"]):
        result = run_predictd(f"--check-model={twice}", f"--model-repository={repository}", "--workers=1")
        assert (result.returncode, result.stderr) == (0, "")


def test_what_keeps_it_from_checking_is_another_exit_code(twice: Path, tmp_path: Path) -> None:
    result = run_predictd(f"--check-model={twice}", f"--operator-library={tmp_path / 'gone.so'}")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("--operator-library: ")


# --- Its files alone ---


def test_a_model_that_would_be_taken_is_named() -> None:
    result = run_predictd(f"--check-model-files={TEST_MODELS / 'linear'}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{TEST_MODELS / 'linear'}: a tensor model, version 1\n"


def test_a_generator_is_read_without_its_weights(generators: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(generators / NAME, tmp_path / NAME)
    (folder / "1" / "model.pt").write_bytes(b"")
    result = run_predictd(f"--check-model-files={folder}")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder}: a generator, version 1\n", "")


@pytest.mark.parametrize("option", ["--check-model", "--check-model-files"])
@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("1/tokenizer.json", "{}", "version 1: tokenizer.json: "),
        ("1/chat_template.json", "{}", "version 1: chat_template.json: "),
        ("model.toml", 'kind = "generator"', "model.toml: "),
        ("model.toml", None, "model.toml"),
        ("1/model.pt", None, "version 1: expected either model.pt or model.pt2, found neither"),
    ],
)
def test_what_the_server_would_refuse_is_one_line(
    generators: Path, tmp_path: Path, option: str, file: str, content: str | None, reason: str
) -> None:
    folder = shutil.copytree(generators / NAME, tmp_path / NAME)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    result = run_predictd(f"{option}={folder}")
    assert result.returncode == 1
    assert result.stderr.startswith(f"{folder}: ")
    assert result.stderr.count("\n") == 1
    assert reason in result.stderr
