"""The language models of `scripts/bench generation`: for each a GGUF file, which llama.cpp runs, and its export."""

import argparse
import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.generation import random_model
from bench.harness.failure import BenchFailure

SMOLLM2, RANDOM_1B = "smollm2", "random-1b"
NAMES = [SMOLLM2, RANDOM_1B]


@dataclass(frozen=True)
class BenchModel:
    name: str
    # What it was exported from.
    gguf: Path
    # The exporter's folder.
    folder: Path

    @property
    def model_file(self) -> Path:
        return self.folder / "1" / "model.pt"

    @property
    def tokenizer_file(self) -> Path:
        return self.folder / "1" / "tokenizer.json"

    def install(self, repository: Path) -> None:
        """Adds it to a repository of models."""
        repository.mkdir()
        (repository / self.name).symlink_to(self.folder.resolve())


def bench_model(options: argparse.Namespace, name: str) -> BenchModel:
    """Makes what is not there, in the build folder."""
    generators = options.build_dir / "generators"
    generators.mkdir(exist_ok=True)
    file = smollm2_file(options)
    if name == RANDOM_1B:
        file = random_file(generators, file)
    folder = generators / name
    command = [sys.executable, str(options.root / "scripts" / "export_generator.py"), str(file), str(folder)]
    kernels = options.build_dir / "lib" / "libpredictd_kernels.so"
    if subprocess.run([*command, "--kernels", str(kernels)], stdout=sys.stderr, check=False).returncode != 0:
        raise BenchFailure("scripts/export_generator.py failed (see above)")
    return BenchModel(name, file, folder)


def smollm2_file(options: argparse.Namespace) -> Path:
    sys.path.append(str(options.root / "scripts"))
    from generator_export.smollm2 import smollm2_gguf

    return smollm2_gguf()


def random_file(folder: Path, tokenizer_of: Path) -> Path:
    """Named after the program that makes it, so that another one makes another file."""
    digest = hashlib.sha256(Path(random_model.__file__).read_bytes()).hexdigest()[:12]
    file = folder / f"{RANDOM_1B}-{digest}.gguf"
    if not file.exists():
        for outdated in folder.glob(f"{RANDOM_1B}-*"):
            outdated.unlink()
        random_model.write_random_model(file, tokenizer_of)
    return file
