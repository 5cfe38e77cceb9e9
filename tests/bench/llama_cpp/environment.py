"""A Python environment with llama-cpp-python, outside the repository: compiling that package takes minutes."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.harness.failure import BenchFailure
from bench.harness.machine import cores

VERSION = "0.3.36"
# What makes llama.cpp fast: the CPU's flags, and what its build calls them.
INSTRUCTIONS = {"avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "avx512f": "AVX512", "avx512_vnni": "AVX512_VNNI"}
STATE = "import llama_cpp; print(llama_cpp.__version__, llama_cpp.llama_print_system_info().decode())"


@dataclass(frozen=True)
class LlamaCpp:
    """llama.cpp, ready to run."""

    python: Path
    # What it says of its own build.
    system_info: str
    # The model as it was given, and re-quantised.
    model: Path
    q4_0: Path
    # That it ends answers at.
    end_tokens: list[int]


def llama_cpp(model: Path) -> LlamaCpp:
    """Makes what is not there: the environment, and the model with Q4_0."""
    python = llama_cpp_python()
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    q4_0 = cache_folder() / f"{model.stem}-{digest}-by-{VERSION}.Q4_0.gguf"
    command = [str(python), str(Path(__file__).with_name("prepare.py")), "--model", str(model)]
    command += ["--requantized", str(q4_0)]
    done = subprocess.run([*command, "--threads", str(cores())], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise BenchFailure("preparing llama.cpp's models failed (see above)")
    facts = json.loads(done.stdout)
    return LlamaCpp(python, facts["system_info"].strip(), model, q4_0, facts["end_tokens"])


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "predictd-bench"


def llama_cpp_python() -> Path:
    """The interpreter of an environment with a package that was compiled for this CPU. Makes it if it is not there."""
    folder = cache_folder() / f"llama-cpp-python-{VERSION}"
    python = folder / "bin" / "python"
    if (lacks := what_lacks(python)) is None:
        return python
    print(f"{lacks}: compiling it into {folder}, about 13 minutes of CPU time, once", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    environment = {"CMAKE_BUILD_PARALLEL_LEVEL": str(cores()), **os.environ, "CMAKE_ARGS": "-DGGML_NATIVE=ON"}
    # Not out of pip's cache: that may be of another CPU.
    install = ["install", "--verbose", "--no-cache-dir", f"llama-cpp-python[server]=={VERSION}"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [str(python), "-m", "pip", *install]):
        # On standard error, so that the report alone is on standard output.
        if subprocess.run(command, stdout=sys.stderr, env=environment, check=False).returncode != 0:
            raise BenchFailure(f"{' '.join(command)} failed (see above)")
    if (lacks := what_lacks(python)) is not None:
        raise BenchFailure(f"{lacks}, though it has just been compiled here")
    return python


def what_lacks(python: Path) -> str | None:
    """What is wrong with an environment, None if nothing is."""
    if not python.exists():
        return f"there is no llama-cpp-python {VERSION}"
    state = subprocess.run([str(python), "-c", STATE], capture_output=True, text=True, check=False)
    version, _, system_info = state.stdout.partition(" ")
    if state.returncode != 0 or version != VERSION:
        return f"llama-cpp-python {VERSION} does not work"
    missing = missing_instructions(Path("/proc/cpuinfo").read_text(), system_info)
    return f"llama-cpp-python was compiled without {', '.join(missing)}" if missing else None


def missing_instructions(cpuinfo: str, system_info: str) -> list[str]:
    """What the CPU has and the build of llama.cpp does not use."""
    flags = next((line.split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    built = re.findall(r"(\w+) = 1\b", system_info)
    return [name for flag, name in INSTRUCTIONS.items() if flag in flags and name not in built]
