#!/usr/bin/env python3
"""Checks that the lock files in scripts/ are those of scripts/requirements.txt and scripts/archives.txt.

A lock file pins every package that scripts/setup installs to one file, by its SHA-256. requirements.lock has them all,
with PyTorch's CPU build. requirements-cuda.lock has what comes in place of that build where pip is offered only the
CUDA build: that, and the packages that it needs beside the others.

--write writes both anew for the Python and the machine that it runs on. It downloads everything, the CUDA build too: a
hash is that of a file that was here, and the sizes that scripts/setup announces are those of the files. Versions of
packages that requirements.txt does not name stay as they are; --upgrade takes the newest.

Prints one line per violation and exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from packaging.utils import parse_sdist_filename, parse_wheel_filename

COMMAND = "scripts/checks/lock.py --write"
PIN = re.compile(r"([a-z0-9-]+==[a-z0-9.+]+) --hash=sha256:[0-9a-f]{64}")
LOCKS = ("requirements.lock", "requirements-cuda.lock")
INPUTS = ("requirements.txt", "archives.txt")
CPU_BUILD = re.compile(r"(torch==[a-z0-9.]+)\+cpu")
BLOCK = 4096


def check(scripts: Path) -> list[str]:
    """The violations in a folder with the inputs and the locks, as FILE: WHAT or FILE:LINE: WHAT lines."""
    violations = []
    required = requirements(scripts / "requirements.txt")
    if not any(map(CPU_BUILD.fullmatch, required)):
        violations.append("requirements.txt: it does not ask for PyTorch's CPU build, torch==VERSION+cpu")
    for name in ("archives.txt", *LOCKS):
        path = scripts / name
        if not path.is_file():
            violations.append(f"{name}: there is no such file; {COMMAND} writes it")
            continue
        text = path.read_text(encoding="utf-8")
        violations += [
            f"{name}:{number}: the line is not NAME==VERSION --hash=sha256:DIGEST"
            for number, line in enumerate(text.splitlines(), start=1)
            if line and not line.startswith("#") and not PIN.fullmatch(line)
        ]
        if name not in LOCKS:
            continue
        if f"# inputs: {inputs_digest(scripts)}\n" not in text:
            violations.append(f"{name}: it is of other {' and '.join(INPUTS)} than these; {COMMAND} writes it anew")
        if name == LOCKS[0]:
            pinned = {pin[1] for pin in map(PIN.fullmatch, text.splitlines()) if pin}
            violations += [f"{name}: {wanted} is not in it" for wanted in required if wanted not in pinned]
    return violations


def requirements(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def inputs_digest(scripts: Path) -> str:
    """Of what the inputs ask for: comments and the order of lines make no difference."""
    asked = [line for name in INPUTS for line in sorted(requirements(scripts / name))]
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()


class Downloads:
    """The files that pip finds for some requirements."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--dest", str(folder)]
        subprocess.run([*command, *arguments], check=True)
        self._files = {str(_name_and_version(path)[0]): path for path in folder.iterdir()}

    def names(self) -> set[str]:
        return set(self._files)

    def pins(self, leave_out: set[str]) -> list[str]:
        lines = []
        for name in sorted(self.names() - leave_out):
            path = self._files[name]
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{name}=={_name_and_version(path)[1]} --hash=sha256:{digest}")
        return lines

    def size(self) -> int:
        return sum(path.stat().st_size for path in self._files.values())

    def installed_size(self) -> int:
        """About what they take when they are installed. Bytecode is a third larger than what it is compiled from."""
        total = 0.0
        for path in self._files.values():
            for name, size in _members(path):
                total += -(-size // BLOCK) * BLOCK
                total += size * 4 / 3 + BLOCK / 2 if name.endswith(".py") else 0
        return round(total)


def _name_and_version(path: Path) -> tuple[str, str]:
    if path.suffix == ".whl":
        name, version, _, _ = parse_wheel_filename(path.name)
    else:
        name, version = parse_sdist_filename(path.name)
    return str(name), str(version)


def _members(path: Path) -> list[tuple[str, int]]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return [(member.filename, member.file_size) for member in wheel.infolist()]
    with tarfile.open(path) as archive:
        return [(member.name, member.size) for member in archive]


def write(scripts: Path, upgrade: bool) -> None:
    required = requirements(scripts / "requirements.txt")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        constraints = folder / "constraints.txt"
        kept = [] if upgrade else _pins_of_others(scripts / LOCKS[0], required)
        constraints.write_text("\n".join(kept))
        wheels = ["--only-binary", ":all:", "-c", str(constraints)]
        cpu = Downloads(folder / "cpu", [*wheels, *required])
        archives = Downloads(
            folder / "archives", ["--no-deps", "--no-build-isolation", "-r", str(scripts / "archives.txt")]
        )

        others = cpu.pins(leave_out={"torch"})
        constraints.write_text("\n".join(pin.split()[0] for pin in others))
        # "===" takes no build with a local version, as "+cpu" is.
        cuda = Downloads(folder / "cuda", [*wheels, *(CPU_BUILD.sub(r"\1", x).replace("torch==", "torch===")
                                                      for x in required)])  # fmt: skip
        for name, pins, parts in (
            (LOCKS[0], cpu.pins(leave_out=set()), (cpu, archives)),
            (LOCKS[1], cuda.pins(leave_out=cpu.names() - {"torch"}), (cuda, archives)),
        ):
            header = [
                f"# Written by {COMMAND}. All sizes are those of the whole environment.",
                f"# inputs: {inputs_digest(scripts)}",
                f"# platform: {'.'.join(platform.python_version_tuple()[:2])} {platform.machine()}",
                f"# download: {_megabytes(sum(part.size() for part in parts))} MB",
                f"# installed: {_megabytes(sum(part.installed_size() for part in parts))} MB",
            ]
            (scripts / name).write_text("\n".join([*header, *pins]) + "\n", encoding="utf-8")
            print(f"{name}: {len(pins)} pins")


def _pins_of_others(lock: Path, required: list[str]) -> list[str]:
    named = {wanted.partition("==")[0] for wanted in required}
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else []
    pins = [pin[1] for pin in map(PIN.fullmatch, lines) if pin]
    return [pin for pin in pins if pin.partition("==")[0] not in named]


def _megabytes(size: int) -> int:
    return -(-size // 1_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the lock files anew")
    parser.add_argument("--upgrade", action="store_true", help="with --write: take the newest versions of the others")
    arguments = parser.parse_args()
    scripts = Path(__file__).resolve().parents[1]
    if arguments.write:
        write(scripts, arguments.upgrade)
    violations = check(scripts)
    print("\n".join([*violations, f"lock files: {len(violations)} violations"]))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
