"""What `cmake --install` installs and `cpack` packs runs anywhere, with LibTorch from where the user has it."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import torch

from predictd_process import BINARY

BUILD = BINARY.parents[1]
LIBTORCH = Path(torch.__file__).parent / "lib"
PROGRAMS = ("bin/predictd", "bin/predictctl")
LIBRARY = "lib/libpredictd_kernels.so"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", name="prefix")
def fixture_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is installed, and then moved."""
    folder = tmp_path_factory.mktemp("install")
    done = run("cmake", "--install", BUILD, "--prefix", folder / "first")
    assert done.returncode == 0, done.stdout
    return (folder / "first").rename(folder / "second")


def run_path(file: Path) -> list[str]:
    dynamic = run("readelf", "-d", file).stdout
    assert "(NEEDED)" in dynamic
    assert "(RPATH)" not in dynamic, "LD_LIBRARY_PATH could not override it"
    found = re.search(r"\(RUNPATH\).*\[(.*)\]", dynamic)
    return found[1].split(":") if found else []


@pytest.mark.parametrize("file", [*PROGRAMS, LIBRARY])
def test_run_paths_are_relative(prefix: Path, file: str) -> None:
    for installed in (prefix / file, BUILD / file):
        assert all(entry.startswith("$ORIGIN/") for entry in run_path(installed)), run_path(installed)


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run_with_libtorch_from_a_variable(prefix: Path, program: str) -> None:
    done = run(prefix / program, "--help", LD_LIBRARY_PATH=str(LIBTORCH))
    assert done.returncode == 0, done.stdout


def test_the_server_runs_with_libtorch_from_a_link(prefix: Path) -> None:
    without = run(prefix / "bin/predictd", "--help", LD_LIBRARY_PATH="")
    assert without.returncode == 127
    assert "libtorch.so" in without.stdout
    link = prefix / "lib/predictd/libtorch"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(LIBTORCH)
    done = run(prefix / "bin/predictd", "--help", LD_LIBRARY_PATH="")
    link.unlink()
    assert done.returncode == 0, done.stdout


def test_the_archive_has_what_is_installed(prefix: Path, tmp_path: Path) -> None:
    done = run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", tmp_path)
    assert done.returncode == 0, done.stdout
    (archive,) = tmp_path.glob("predictd-*.tar.gz")
    with tarfile.open(archive) as packed:
        files = {member.name.partition("/")[2] for member in packed if member.isfile()}
    assert files == {str(file.relative_to(prefix)) for file in prefix.rglob("*") if file.is_file()}
    assert files.issuperset({*PROGRAMS, LIBRARY, "lib/pkgconfig/predictd.pc", "share/doc/predictd/deploy/README.md"})
