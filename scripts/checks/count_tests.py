#!/usr/bin/env python3
"""Counts the tests of JUnit reports: prints how many passed, failed and were skipped, as three numbers.

A skip that nobody expects counts as failed and is named on a line of its own: otherwise a tool that is missing, say on
CI, takes tests out without a word.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

# The reasons for which a test may be skipped, each a part of what the test says: that the machine, the user or the
# build is of a kind that the test is not for. What scripts/setup installs is never missing.
EXPECTED = [
    "this processor cannot run ",
    "only one is supported",
    "only x86-64 has them",
    "a sanitizer's heap does not count",
    "a sanitizer takes much of both itself",
    "other users cannot reach the binary",
    "the limit counts all processes of the user: only root can start one as another",
    "only root installs system packages",
    "a small file system takes a mount, which is not allowed here",
]
# GoogleTest's reason is in what the test prints; ctest's own message says only that there is one.
GOOGLETEST_REASON = re.compile(r": Skipped\n(.*)")


def main() -> None:
    passed = failed = skipped = 0
    unexpected = []
    for report in filter(Path.exists, map(Path, sys.argv[1:])):
        for case in ElementTree.parse(report).iter("testcase"):
            reason = skip_reason(case)
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif reason is None:
                passed += 1
            elif any(expected in reason for expected in EXPECTED):
                skipped += 1
            else:
                failed += 1
                unexpected.append(f"unexpected skip of {case.get('classname')}.{case.get('name')}: {reason}")
    print("\n".join([f"{passed} {failed} {skipped}", *unexpected]))


def skip_reason(case: ElementTree.Element) -> str | None:
    """None if the test has run."""
    if case.get("status") == "disabled":
        return "it is disabled"
    skip = case.find("skipped")
    if skip is None:
        return None
    printed = GOOGLETEST_REASON.search(case.findtext("system-out", ""))
    return printed[1] if printed else skip.get("message", "")


if __name__ == "__main__":
    main()
