#!/usr/bin/env python3
"""Checks the documents: links lead to files and headings that exist, files that are named exist, prose is wrapped.

Prints one line per violation and exits with 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

WIDTH = 100
LINK = re.compile(r"\]\(\s*([^)\s]+)\s*\)")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
CODE = re.compile(r"`[^`]*`")
# Within code: a file, or a folder with a slash at its end, by its path.
PATH = re.compile(r"(?:[\w.-]+/)+(?:[\w-]+\.(?:cc|h|json|md|proto|py|svg|toml|txt))?")
FENCE = re.compile(r" {0,3}(?:```|~~~)")
LIST = re.compile(r" *(?:[-*+]|\d+\.) ")
HEADING = re.compile(r"#{1,6} +(.*)")


def check(root: Path, documents: list[Path]) -> list[str]:
    """The violations in the documents, as FILE:LINE: WHAT lines."""
    violations = []
    for document in documents:
        lines = prose(document.read_text(encoding="utf-8"))
        found = [*_broken_links(root, document, lines), *_missing_files(root, document, lines), *_long_lines(lines)]
        violations += [f"{document.relative_to(root)}:{line}: {what}" for line, what in sorted(found)]
    return violations


def prose(text: str) -> list[str]:
    """The lines, those of code blocks empty. A line that is indented by four is code unless it goes on with a paragraph
    or belongs to a list."""
    lines, fenced, paragraph, in_list = [], False, False, False
    for line in text.splitlines():
        fence = bool(FENCE.match(line))
        code = fence or fenced or (line.startswith("    ") and not paragraph and not in_list)
        fenced = fenced != fence
        lines.append("" if code else line)
        in_list = not code and (bool(LIST.match(line)) or (in_list and (line.startswith("  ") or not line)))
        paragraph = bool(line) and not code
    return lines


def _broken_links(root: Path, document: Path, lines: list[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        for link in LINK.finditer(CODE.sub("", line)):
            target = unquote(link[1])
            if SCHEME.match(target):
                continue
            path, _, heading = target.partition("#")
            file = (document.parent / path).resolve() if path else document
            if not file.is_relative_to(root) or not file.exists():
                yield number, f"{target}: there is no such file"
            elif heading and heading not in headings(file.read_text(encoding="utf-8")):
                yield number, f"{target}: there is no such heading"


def _missing_files(root: Path, document: Path, lines: list[str]) -> Iterator[tuple[int, str]]:
    """Prose names files from the root, from the document's folder or one above it, or from server/."""
    folder = document.parent
    above = [parent for parent in (folder, *folder.parents) if parent.is_relative_to(root)]
    tops = {entry.name for base in (*above, root / "server") for entry in base.iterdir() if entry.is_dir()}
    for number, line in enumerate(lines, start=1):
        for code in CODE.finditer(line):
            path = code[0].strip("`")
            # Other things have slashes, too; what begins with one of our folders means a file.
            if not PATH.fullmatch(path) or path.split("/")[0] not in tops - {"build", "models"}:
                continue
            if not any((base / path).exists() for base in (*above, root / "server")):
                yield number, f"{path}: there is no such file"


def _long_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Tables cannot be wrapped, nor can code or a link that is longer than a line."""
    for number, line in enumerate(lines, start=1):
        text = CODE.sub(lambda code: code[0].replace(" ", "_"), LIST.sub("", line).strip())
        if len(line) > WIDTH and " " in text and not line.startswith("|"):
            yield number, f"the line has {len(line)} characters, more than {WIDTH}"


def headings(text: str) -> set[str]:
    """The names by which links reach the headings of a document, as GitHub makes them."""
    found: set[str] = set()
    for line in prose(text):
        if heading := HEADING.match(line):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1].strip())
            name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            numbered, again = name, 0
            while numbered in found:
                again += 1
                numbered = f"{name}-{again}"
            found.add(numbered)
    return found


def documents_of(root: Path) -> list[Path]:
    """The repository's, tracked or new."""
    command = [
        "git",
        "-C",
        str(root),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
        "*.md",
    ]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [root / name for name in listed if (root / name).is_file()]


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    violations = check(root, documents_of(root))
    print("\n".join([*violations, f"documents: {len(violations)} violations"]))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
