#!/usr/bin/env python3
"""Runs clang-tidy and clang's thread-safety analysis on the C++ sources of server/, client/ and tests/.

A file that passed is not looked at again until it, a header of ours that it includes, its compile command or
.clang-tidy changes. Files of one folder with the same compile command are first checked together, in one translation
unit that includes them all: most of the time goes into the headers of gRPC, LibTorch and the standard library, which
are then read once. Files that have findings then are checked again each on its own, and where two files use a name in
ways that clash, the group is halved: what is reported of a file never depends on its group.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDERS = ("server", "client", "tests")
CLANG_TIDY = "clang-tidy-16"
LARGEST_GROUP = 8
# Options of GCC that clang refuses. Precompiled headers are GCC's own.
DROPPED = {"-Winvalid-pch", "-fpch-preprocess", "-fcoroutines", "-c"}
DROPPED_WITH_VALUE = {"-o", "-include"}
ADDED = ["-Wno-unknown-warning-option", "-Wthread-safety", "-Werror=thread-safety"]
MAIN = re.compile(rb"^int main\(", re.MULTILINE)
INCLUDE = re.compile(rb'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
# In the output if something did not compile.
CLASH = "[clang-diagnostic-error"
# Where a finding begins; its notes and source lines follow.
FINDING = re.compile(r"\n(?=\S+:\d+:\d+: (?:error|warning): )")


def _compiled_files(file: Path) -> list[Path]:
    """The sources that are compiled together in a unit that CMake made (PREDICTD_UNITY), or the file itself."""
    if not file.name.startswith("unity_"):
        return [file]
    return [Path(match[1].decode()).resolve() for match in INCLUDE.finditer(file.read_bytes())]


@dataclass(frozen=True)
class Source:
    # Under which of FOLDERS it is.
    top: str
    path: Path
    directory: str
    # The compiler and its options, without the source.
    command: tuple[str, ...]


class Tidy:
    """Knows what has passed before. Safe to use from several threads: each writes only the marks of its own files."""

    def __init__(self, root: Path, build: Path) -> None:
        self.root = root
        self.build = build
        self.passed = build / "tidy-cache" / "passed"
        self.work = build / "tidy-cache" / "work"
        self.passed.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        version = subprocess.run([CLANG_TIDY, "--version"], check=True, capture_output=True).stdout
        self.settings = version + (root / ".clang-tidy").read_bytes() + Path(__file__).read_bytes()

    def sources(self) -> list[Source]:
        entries = json.loads((self.build / "compile_commands.json").read_text())
        sources: dict[Path, Source] = {}
        for entry in entries:
            command = _for_clang(entry.get("arguments") or shlex.split(entry["command"]), entry["file"])
            for path in _compiled_files(Path(entry["directory"], entry["file"]).resolve()):
                top = next((folder for folder in FOLDERS if path.is_relative_to(self.root / folder)), None)
                if top is not None:
                    sources.setdefault(path, Source(top, path, entry["directory"], command))
        return sorted(sources.values(), key=lambda source: source.path)

    def mark(self, source: Source) -> Path:
        """A file that exists if the source, as it is now, has passed."""
        digest = hashlib.sha256(self.settings)
        digest.update(json.dumps([source.directory, *source.command]).encode())
        search = _include_folders(source, self.root)
        seen = {source.path}
        waiting = [source.path]
        while waiting:
            path = waiting.pop()
            content, included = _read(path)
            digest.update(str(path).encode() + b"\0" + content)
            for name in included:
                header = next((folder / name for folder in (path.parent, *search) if (folder / name).is_file()), None)
                if header is not None and header not in seen:
                    seen.add(header)
                    waiting.append(header)
        return self.passed / digest.hexdigest()

    def check(self, group: list[Source]) -> str:
        """Checks the sources, together as far as possible; returns the findings."""
        output = self._run(group)
        if not output:
            for source in group:
                self.mark(source).touch()
            return ""
        if len(group) == 1:
            return output
        if CLASH in output:
            middle = len(group) // 2
            return self._check_each(group[:middle], group[middle:])
        places = {finding.split(":", 1)[0] for finding in FINDING.split("\n" + output) if finding}
        found = [source for source in group if str(source.path.relative_to(self.root)) in places]
        clean = [source for source in group if source not in found]
        if len(places) > len(found):
            # Some are in headers: any of the group may include those.
            return output
        for source in clean:
            self.mark(source).touch()
        return self._check_each(*([source] for source in found))

    def _check_each(self, *groups: list[Source]) -> str:
        return "\n".join(filter(None, map(self.check, groups)))

    def _run(self, group: list[Source]) -> str:
        name = hashlib.sha256("\n".join(str(source.path) for source in group).encode()).hexdigest()[:16]
        folder = self.work / name
        folder.mkdir(exist_ok=True)
        path = group[0].path
        if len(group) > 1:
            path = folder / "together.cc"
            path.write_text("".join(f'#include "{source.path}"\n' for source in group))
        entry = {
            "directory": group[0].directory,
            "file": str(path),
            "arguments": [*group[0].command, *ADDED, "-c", str(path)],
        }
        (folder / "compile_commands.json").write_text(json.dumps([entry]))
        config = f"--config-file={self.root / '.clang-tidy'}"
        result = subprocess.run(
            [CLANG_TIDY, "-p", str(folder), config, "--quiet", str(path)], capture_output=True, text=True, check=False
        )
        if result.returncode == 0:
            return ""
        return (result.stdout or result.stderr).replace(f"{self.root}/", "").strip()


def _for_clang(command: list[str], file: str) -> tuple[str, ...]:
    """A compile command of GCC without what clang does not know, and without the source."""
    result: list[str] = []
    arguments = iter(command)
    for argument in arguments:
        if argument in DROPPED_WITH_VALUE:
            next(arguments)
        elif argument not in DROPPED and argument != file:
            result.append(argument)
    return tuple(result)


def _include_folders(source: Source, root: Path) -> list[Path]:
    """Those of the compile command that are inside the checkout, generated code included, the environment not."""
    folders: list[Path] = []
    arguments = iter(source.command)
    for argument in arguments:
        if argument in ("-I", "-isystem"):
            folders.append(Path(source.directory, next(arguments)))
        elif argument.startswith("-I"):
            folders.append(Path(source.directory, argument[2:]))
    return [folder for folder in folders if folder.is_relative_to(root) and ".venv" not in folder.parts]


@cache
def _read(path: Path) -> tuple[bytes, list[str]]:
    content = path.read_bytes()
    return content, [name.decode() for name in INCLUDE.findall(content)]


def _groups(sources: list[Source], jobs: int) -> list[list[Source]]:
    """Sources that can share a translation unit; small enough that all jobs have something to do."""
    together: dict[tuple[str, ...], list[Source]] = defaultdict(list)
    groups: list[list[Source]] = []
    for source in sources:
        if MAIN.search(_read(source.path)[0]):
            groups.append([source])
        else:
            together[(source.top, source.directory, *source.command)].append(source)
    size = max(1, min(LARGEST_GROUP, -(-len(sources) // jobs)))
    for members in together.values():
        count = -(-len(members) // size)
        groups += [members[index::count] for index in range(count)]
    return sorted(groups, key=len, reverse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--build", type=Path, help="with compile_commands.json; default: ROOT/build")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("files", type=Path, nargs="*", help="only these; default: all")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    build = (arguments.build or root / "build").resolve()
    if not (build / "compile_commands.json").exists():
        print(f"{build}/compile_commands.json is missing: run scripts/setup --dev first")
        return 1

    tidy = Tidy(root, build)
    sources = tidy.sources()
    if arguments.files:
        wanted = {file.resolve() for file in arguments.files}
        sources = [source for source in sources if source.path in wanted]
    stale = [source for source in sources if not tidy.mark(source).exists()]
    groups = _groups(stale, arguments.jobs)
    findings = ""
    done = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for group, output in zip(groups, pool.map(tidy.check, groups), strict=True):
            done += len(group)
            findings += "\n" + output if output else ""
            names = " ".join(str(source.path.relative_to(root)) for source in group)
            print(f"[{done}/{len(stale)}] {names}", flush=True)
    # A header's finding comes once from every file that includes it.
    print("\n".join(dict.fromkeys(FINDING.split(findings))))
    outcome = "findings above" if findings else "no findings"
    print(f"{len(sources)} files, {len(stale)} of them new or changed: {outcome}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
