"""No instruction is where a processor without it could come to it."""

from __future__ import annotations

import platform
import re
import subprocess
from collections import defaultdict

import pytest

from decoder_parts import LIBRARY

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
# Where instructions of AVX and its successors begin. In the text, after address and bytes.
VECTOR = re.compile(r"\t(v[a-z0-9]+) ")
WIDE = re.compile(r"%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|\{%k[1-7]\}")

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86-64 has them")


@pytest.fixture(scope="module", name="functions")
def fixture_functions() -> dict[str, list[str]]:
    """The instructions of each function of the library."""
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", str(LIBRARY)]
    functions: dict[str, list[str]] = defaultdict(list)
    name = ""
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        if start := FUNCTION.match(line):
            name = start[1]
        elif line.startswith(" "):
            functions[name].append(line)
    return functions


def using(functions: dict[str, list[str]], instruction: re.Pattern[str]) -> set[str]:
    return {name for name, lines in functions.items() if any(instruction.search(line) for line in lines)}


def test_avx_is_only_in_functions_of_its_kernel_sets(functions: dict[str, list[str]]) -> None:
    vector = using(functions, VECTOR)
    assert any("::Avx2" in name for name in vector)
    assert any("::Avx512" in name for name in vector)
    assert not [name for name in vector if "::Avx2" not in name and "::Avx512" not in name]


def test_avx512_is_only_in_functions_of_its_kernel_set(functions: dict[str, list[str]]) -> None:
    wide = using(functions, WIDE)
    assert wide
    assert not [name for name in wide if "::Avx512" not in name]


def test_functions_of_kernel_sets_are_not_shared_with_other_files() -> None:
    """Of a function that is, the linker keeps any one."""
    lines = subprocess.run(["nm", "--demangle", str(LIBRARY)], check=True, capture_output=True, text=True).stdout
    kinds = {
        line.split(maxsplit=2)[1]
        for line in lines.splitlines()
        if ("::Avx2" in line or "::Avx512" in line) and line[:1] != " "
    }
    assert kinds
    assert all(kind.islower() and kind not in "wv" for kind in kinds), kinds
