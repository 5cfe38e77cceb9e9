"""Random arguments are refused or taken, but never crash the process, nor one that uses the operators beside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CALLS = 1200


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kernel_set", ["portable", "avx2", "avx512"])
def test_random_arguments_do_not_crash(seed: int, kernel_set: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fuzz_operators.py")), str(seed), str(CALLS)]
    # So that memory is not always fresh and zero.
    environment = {"PREDICTD_KERNEL_SET": kernel_set, "MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    taken = dict(pair.split("=") for pair in done.stdout.split())
    each = CALLS / len(taken)
    # Of both kinds there are enough for it to mean something.
    for name, count in taken.items():
        assert 0.05 * each < int(count) < 0.99 * each, f"{name}: {count} of {each}"
