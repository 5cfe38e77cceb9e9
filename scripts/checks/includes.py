#!/usr/bin/env python3
"""Checks that the #includes of server/ and client/ keep to the design: who may depend on whom, and on which library.

Prints one line per violation and exits with 1 if there is any. tests/ may include anything.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".h", ".cc")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# What every part of the server may use beside itself, above those that it is made of.
EVERYWHERE = {"async", "config", "files", "telemetry", "text"}
# Folder of server/ -> the folders that it may include. main.cc is "main", the files beside it are "server".
MAY_USE = {
    # What knows nothing of models.
    "async": set(),
    "files": set(),
    "text": set(),
    "kernels": set(),
    "config": {"async", "files", "text"},
    "http": {"async", "config"},
    "telemetry": {"async", "config", "files", "http", "text"},
    "process": EVERYWHERE,
    # The transport.
    "rpc": EVERYWHERE,
    # Models, and what runs them.
    "model": EVERYWHERE,
    "compiled": {"model", *EVERYWHERE},
    "torch": {"compiled", "model", *EVERYWHERE},
    "engine": {"model", *EVERYWHERE},
    "tokenizer": EVERYWHERE,
    "template": {"tokenizer", *EVERYWHERE},
    "sampling": {"kernels", "model", *EVERYWHERE},
    "generation": {"model", "sampling", "template", "tokenizer", *EVERYWHERE},
    # What is served, and what answers calls with it.
    "serving": {"engine", "generation", "model", "process", "template", "tokenizer", *EVERYWHERE},
    "services": {"engine", "generation", "model", "rpc", "serving", "template", "tokenizer", *EVERYWHERE},
    # The composition root.
    "server": {
        "engine",
        "generation",
        "kernels",
        "model",
        "process",
        "rpc",
        "services",
        "serving",
        "torch",
        *EVERYWHERE,
    },
    "main": {"server", "process", *EVERYWHERE},
}
# No room of server/ holds more of its lines: then it is several.
LARGEST_SHARE = 0.15
# A tree of fewer lines is not looked at for that.
SMALL_TREE = 1000


@dataclass(frozen=True)
class Library:
    name: str
    # What its headers' names look like.
    headers: re.Pattern[str]
    # Who may include it.
    users: re.Pattern[str]
    users_in_words: str
    # If set, a header that includes it is for its users only, too.
    hidden: bool


def _library(name: str, headers: str, users: str, users_in_words: str, hidden: bool) -> Library:
    return Library(name, re.compile(headers), re.compile(users), users_in_words, hidden)


_RPC = (r"^(server/rpc|server/services|client)/", "server/rpc, server/services and client/", False)
_TORCH = (r"^server/(torch/|kernels/operators\.cc$)", "server/torch and server/kernels/operators.cc", True)
_TELEMETRY = (r"^server/telemetry/", "server/telemetry", True)
LIBRARIES = (
    _library("gRPC", r"^(grpc|grpcpp|grpc\+\+)/|\.grpc\.pb\.h$", *_RPC),
    _library("protobuf", r"^google/(protobuf|rpc)/|\.pb\.h$", *_RPC),
    _library("LibTorch", r"^(torch|ATen|c10|caffe2)/", *_TORCH),
    _library("prometheus", r"^prometheus/", *_TELEMETRY),
    _library("OpenTelemetry", r"^opentelemetry/", *_TELEMETRY),
)


@dataclass(frozen=True)
class Include:
    line: int
    quote: str
    name: str


def check(root: Path) -> list[str]:
    """The violations under root, as FILE:LINE: WHAT lines."""
    found = [*(root / "server").rglob("*"), *(root / "client").rglob("*")]
    paths = sorted(path for path in found if path.suffix in SUFFIXES)
    if not paths:
        return [f"{root} has no sources in server/ or client/"]
    includes = {str(path.relative_to(root)): _includes(path) for path in paths}
    showing = {library: _headers_showing(library, includes) for library in LIBRARIES if library.hidden}
    violations = []
    for file, its_includes in includes.items():
        for include in its_includes:
            reason = _project_violation(file, include) or _library_violation(file, include.name, showing)
            if reason:
                violations.append(f"{file}:{include.line}: {reason}")
    return violations + _large_rooms(paths, root)


def _large_rooms(paths: list[Path], root: Path) -> list[str]:
    """The rooms of server/ that hold more than LARGEST_SHARE of its lines, once it is large enough to have rooms."""
    lines: dict[str, int] = {}
    for path in paths:
        file = path.relative_to(root)
        if file.parts[0] == "server":
            lines[_part(str(file))] = lines.get(_part(str(file)), 0) + path.read_text(encoding="utf-8").count("\n")
    total = sum(lines.values())
    if total < SMALL_TREE:
        return []
    return [
        f"server/{room} holds {count} of {total} lines, and {LARGEST_SHARE:.0%} is the most for one room"
        for room, count in sorted(lines.items())
        if count > LARGEST_SHARE * total
    ]


def _includes(path: Path) -> list[Include]:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return [Include(number, match[1], match[2]) for number, line in lines if (match := INCLUDE.match(line))]


def _headers_showing(library: Library, includes: dict[str, list[Include]]) -> set[str]:
    """The headers of the library's users through which one gets to see it, directly or by way of another."""
    headers = [file for file in includes if file.endswith(".h") and library.users.search(file)]
    showing: set[str] = set()
    while True:
        more = {
            file
            for file in headers
            if any(library.headers.search(include.name) or include.name in showing for include in includes[file])
        }
        if more == showing:
            return showing
        showing = more


def _part(file: str) -> str:
    """The key of MAY_USE for a file under server/."""
    folders = Path(file).parts
    if len(folders) > 2:
        return folders[1]
    return "main" if folders[1] == "main.cc" else "server"


def _project_violation(file: str, include: Include) -> str | None:
    name = include.name
    if include.quote == '"' and ("/" not in name or ".." in Path(name).parts):
        return f'"{name}" must be included by its path from the root of the repository'
    top = Path(name).parts[0]
    if top == "tests":
        return f"{name}: what is shipped includes nothing from tests/"
    if top not in ("server", "client"):
        return None
    if top != Path(file).parts[0]:
        return f"{name}: server/ and client/ share only proto/"
    if top == "client":
        return None

    user, used = _part(file), _part(name)
    if user not in MAY_USE:
        return f"server/{user} has no rule in scripts/checks/includes.py"
    if used != user and used not in MAY_USE[user]:
        allowed = ", ".join(sorted(MAY_USE[user])) or "nothing else of the server"
        return f"{name}: beside its own headers, {user} may include those of: {allowed}"
    return None


def _library_violation(file: str, name: str, showing: dict[Library, set[str]]) -> str | None:
    for library in LIBRARIES:
        if library.users.search(file):
            continue
        if library.headers.search(name):
            return f"{name}: only {library.users_in_words} may include {library.name} headers"
        if name in showing.get(library, ()):
            return f"{name}: this header shows {library.name}, which only {library.users_in_words} may see"
    return None


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    violations = check(root)
    print("\n".join([*violations, f"include rules: {len(violations)} violations"]))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
