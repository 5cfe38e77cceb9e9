#!/usr/bin/env python3
"""Prints how many tests passed and failed according to JUnit reports, as two numbers; skipped tests are neither."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def main() -> None:
    passed = failed = 0
    for report in filter(Path.exists, map(Path, sys.argv[1:])):
        for case in ElementTree.parse(report).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is None:
                passed += 1
    print(passed, failed)


if __name__ == "__main__":
    main()
