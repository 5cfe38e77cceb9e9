"""Models of weight, and calls of them whose right answers are known."""

import argparse
import re
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.harness.failure import BenchFailure
from bench.harness.messages import PredictMessages

# Different ones, so that an answer that went to the wrong caller is a wrong answer.
DIFFERENT_CALLS = 32
VOCABULARY = 1000


@dataclass(frozen=True)
class Workload:
    """An exported TorchScript model of one input, of which one FP32 output is asked for."""

    # The exporter's folder: model.toml and 1/model.pt.
    folder: Path
    input: str
    dtype: str
    row_shape: tuple[int, ...]
    output: str

    @property
    def model_file(self) -> Path:
        return self.folder / "1" / "model.pt"

    def install(self, repository: Path, name: str, max_batch_size: int) -> None:
        """Adds the model to a repository, under that name and with that limit."""
        text = (self.folder / "model.toml").read_text()
        settings = re.sub(r"^(max_batch_size|version_policy) *=.*\n", "", text, flags=re.MULTILINE)
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "model.toml").write_text(f"max_batch_size = {max_batch_size}\n{settings}")
        (repository / name / "1" / "model.pt").symlink_to(self.model_file)

    def write_calls(self, file: Path, messages: PredictMessages, name: str, rows: int) -> Path:
        """Writes calls of `rows` rows each and their answers, as the load generator reads them. Returns `file`."""
        import torch

        torch.set_num_threads(1)
        module = torch.jit.load(str(self.model_file)).eval()
        random = np.random.default_rng(11)
        with file.open("wb") as output, torch.inference_mode():
            for _ in range(DIFFERENT_CALLS):
                values = self._input(random, rows)
                results = module(torch.from_numpy(values))
                answer = (results if isinstance(results, torch.Tensor) else results[0]).numpy()
                for message in messages.call(name, (self.input, self.dtype, values), (self.output, "FP32", answer)):
                    output.write(struct.pack("<I", len(message)) + message)
        return file

    def _input(self, random: np.random.Generator, rows: int) -> np.ndarray:
        if self.dtype == "INT64":
            return random.integers(0, VOCABULARY, (rows, *self.row_shape))
        return random.uniform(0, 16, (rows, *self.row_shape)).astype(np.float32)


def encoder(options: argparse.Namespace, folder: Path) -> Workload:
    """The transformer encoder of export_test_models.py, exported below `folder`."""
    _export("export_test_models.py", options, "--models-dir", str(folder), "--only", "encoder")
    return Workload(folder / "encoder", "ids", "INT64", (32,), "embedding")


def digits(options: argparse.Namespace) -> Workload:
    """The demo's model, in models/ as scripts/demo has it; trained first if it is not there."""
    _export("export_digits.py", options)
    return Workload(options.root / "models" / "digits", "image", "FP32", (1, 8, 8), "probabilities")


def _export(script: str, options: argparse.Namespace, *arguments: str) -> None:
    command = [sys.executable, str(options.root / "scripts" / script), *arguments]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise BenchFailure(f"scripts/{script} failed (see above)")
