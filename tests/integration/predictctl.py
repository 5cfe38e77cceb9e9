"""Runs the real predictctl.

The environment variable PREDICTCTL_BINARY names the program; by default it is build/bin/predictctl.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import grpc

from predictd_process import PredictdProcess
from protocol import ROOT

PREDICTCTL = Path(os.environ.get("PREDICTCTL_BINARY", ROOT / "build/bin/predictctl")).resolve()
USAGE = 2
SOME_ROWS_FAILED = 3
INTERRUPTED = 130


def failed_with(code: grpc.StatusCode) -> int:
    """The exit status after a call with that code."""
    return 10 + code.value[0]


def predictctl(server: PredictdProcess, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs it to its end, with strings for the terminal."""
    result = subprocess.run(
        [PREDICTCTL, f"--address={server.address}", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(result.args, result.returncode, result.stdout.decode(), result.stderr.decode())


def json_of(result: subprocess.CompletedProcess[str]) -> Any:
    """The document of a run that ended well."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def json_lines(result: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]
