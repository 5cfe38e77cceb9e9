"""scripts/checks/documents.py finds what is wrong in documents, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.documents import check, headings

OTHER = "# Other\n\n## A heading, with `code`\n\n## Twice\n\n## Twice\n"
LONG = "word " * 25


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> Path:
    (tmp_path / "server/rpc").mkdir(parents=True)
    (tmp_path / "server/rpc/call.cc").touch()
    (tmp_path / "server/OTHER.md").write_text(OTHER)
    return tmp_path


def violations(root: Path, text: str, name: str = "server/README.md") -> list[str]:
    document = root / name
    document.write_text(text)
    return check(root, [document])


@pytest.mark.parametrize(
    "text",
    [
        "[a](OTHER.md), [b](rpc/call.cc), [c](../server/), [a line\nbreak](OTHER.md)",
        "[a](OTHER.md#a-heading-with-code), [b](OTHER.md#twice-1), [c](#here)\n\n## Here",
        "[a](https://example.com/nowhere.md#x), [b](mailto:a@example.com)",
        "`[a](nowhere.md)`",
        "```\n[a](nowhere.md)\n```",
        "    [a](nowhere.md)",
        "A sentence:\n\n- an item\n\nAnd code:\n\n    - key: value\n      more: [a](nowhere.md)",
        "`rpc/call.cc`, `server/rpc/call.cc`, `server/`, `text/plain`, `and/or.cc`",
        f"| {LONG} |\n| --- |",
        f"    {LONG}",
        f"```\n{LONG}\n```",
        f"`{LONG}`",
        "x" * 120,
        "- " + "x" * 120,
    ],
)
def test_what_is_right_is_left_alone(root: Path, text: str) -> None:
    assert violations(root, text) == []


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("\n[a](nowhere.md)", 2, "nowhere.md: there is no such file"),
        ("![a](rpc/plot.svg)", 1, "rpc/plot.svg: there is no such file"),
        ("[a line\nbreak](nowhere.md)", 2, "nowhere.md: there is no such file"),
        ("[a](../../outside.md)", 1, "../../outside.md: there is no such file"),
        ("[a](OTHER.md#nowhere)", 1, "OTHER.md#nowhere: there is no such heading"),
        ("[a](OTHER.md#twice-2)", 1, "OTHER.md#twice-2: there is no such heading"),
        ("[a](#nowhere)", 1, "#nowhere: there is no such heading"),
        ("Text\n    [a](nowhere.md)", 2, "nowhere.md: there is no such file"),
        ("- an item\n\n    [a](nowhere.md)", 3, "nowhere.md: there is no such file"),
        ("`rpc/serve.cc`", 1, "rpc/serve.cc: there is no such file"),
        ("`server/nothing/`", 1, "server/nothing/: there is no such file"),
        (LONG, 1, "the line has 125 characters, more than 100"),
        (f"- {LONG}", 1, "the line has 127 characters, more than 100"),
    ],
)
def test_what_is_wrong_is_named(root: Path, text: str, line: int, what: str) -> None:
    assert violations(root, text) == [f"server/README.md:{line}: {what}"]


def test_a_document_elsewhere_names_files_of_the_server_too(root: Path) -> None:
    (root / "tests").mkdir()
    assert violations(root, "`rpc/call.cc`", "tests/README.md") == []
    assert violations(root, "`rpc/serve.cc`", "tests/README.md") != []


def test_headings_are_named_as_links_name_them() -> None:
    assert headings(OTHER) == {"other", "a-heading-with-code", "twice", "twice-1"}
