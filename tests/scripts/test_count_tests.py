"""scripts/checks/count_tests.py counts what ran, and takes a skip for a failure unless its reason is expected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "checks" / "count_tests.py"

CTEST = """\
    <testcase name="C.ran" classname="C.ran" status="run"><system-out>: Skipped
this text is of a test that ran</system-out></testcase>
    <testcase name="C.failed" classname="C.failed" status="fail"><failure message=""/></testcase>
    <testcase name="C.skipped" classname="C.skipped" status="notrun">
      <skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
      <system-out>[ RUN      ] C.skipped
/a/c_test.cc:20: Skipped
{reason}

[  SKIPPED ] C.skipped (0 ms)
</system-out></testcase>
"""
PYTEST = """\
    <testcase name="test_ran" classname="p"/>
    <testcase name="test_failed" classname="p"><failure message="assert"/></testcase>
    <testcase name="test_error" classname="p"><error message="in a fixture"/></testcase>
    <testcase name="test_skipped" classname="p"><skipped type="pytest.skip" message="{reason}">at</skipped></testcase>
"""


def count(folder: Path, *reports: str) -> list[str]:
    files = []
    for number, cases in enumerate(reports):
        files.append(folder / f"{number}.xml")
        files[-1].write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    command = [sys.executable, *map(str, (SCRIPT, *files, folder / "missing.xml"))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_expected_skips_are_counted(tmp_path: Path) -> None:
    ctest = CTEST.format(reason="this processor cannot run AVX-512")
    assert count(tmp_path, ctest, PYTEST.format(reason="only x86-64 has them")) == ["2 3 2"]


@pytest.mark.parametrize(
    ("cases", "name"),
    [(CTEST, "C.skipped.C.skipped"), (PYTEST, "p.test_skipped")],
    ids=["ctest", "pytest"],
)
def test_an_unexpected_skip_is_a_failure_and_named(tmp_path: Path, cases: str, name: str) -> None:
    numbers, line = count(tmp_path, cases.format(reason="h2load is missing"))
    assert numbers == f"1 {cases.count('<failure') + cases.count('<error') + 1} 0"
    assert line == f"unexpected skip of {name}: h2load is missing"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ('<skipped message="Unable to find executable"/>', "Unable to find executable"),
        ('<skipped message="Fixture dependency failed"/>', "Fixture dependency failed"),
        ("<system-out>Disabled</system-out>", "it is disabled"),
    ],
)
def test_what_ctest_did_not_run_is_a_failure(tmp_path: Path, case: str, reason: str) -> None:
    status = "disabled" if reason == "it is disabled" else "notrun"
    cases = f'<testcase name="a" classname="b" status="{status}">{case}</testcase>'
    assert count(tmp_path, cases) == ["0 1 0", f"unexpected skip of b.a: {reason}"]


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert count(tmp_path) == ["0 0 0"]
