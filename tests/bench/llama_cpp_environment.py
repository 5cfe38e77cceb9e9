"""A Python environment with llama-cpp-python, outside the repository: compiling that package takes minutes."""

import os
import subprocess
import sys
from pathlib import Path

from bench.failure import BenchFailure

VERSION = "0.3.36"


def llama_cpp_python() -> Path:
    """The environment's interpreter. Makes the environment if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "predictd-bench" / f"llama-cpp-python-{VERSION}"
    python = folder / "bin" / "python"
    if python.exists() and _has_package(python):
        return python
    print(f"compiling llama-cpp-python {VERSION} into {folder}: about 13 minutes of CPU time, once", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    environment = {"CMAKE_BUILD_PARALLEL_LEVEL": str(len(os.sched_getaffinity(0))), **os.environ}
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--verbose", f"llama-cpp-python[server]=={VERSION}"],
    ):
        # On standard error, so that the report alone is on standard output.
        if subprocess.run(command, stdout=sys.stderr, env=environment).returncode != 0:
            raise BenchFailure(f"{' '.join(command)} failed (see above)")
    return python


def _has_package(python: Path) -> bool:
    command = [str(python), "-c", "import llama_cpp; print(llama_cpp.__version__)"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == VERSION
