"""Lets the server itself read a new folder before it is put in place: what the server would refuse is refused here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from generator_export.errors import ExportError

SERVER_VARIABLE = "PREDICTD"


def find_server() -> Path | None:
    """The server named by the environment, the one in the build folder, or the one on the path; None without any."""
    built = Path(__file__).resolve().parents[2] / "build" / "bin" / "predictd"
    chosen = os.environ.get(SERVER_VARIABLE)
    if chosen:
        return Path(chosen)
    on_path = shutil.which("predictd")
    return built if built.exists() else Path(on_path) if on_path else None


def check_by_server(server: Path, folder: Path, source: Path) -> None:
    """`folder` is a model's folder, in which the module's file must exist but may be empty; `source` is what errors
    blame."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREDICTD_")}
    try:
        result = subprocess.run(
            [server, f"--check-model-files={folder}"],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            check=False,
        )
    except OSError as error:
        raise ExportError(f"{server}: {error.strerror}: {SERVER_VARIABLE} says where predictd is") from None
    if result.returncode == 0:
        return
    lines = result.stderr.strip().splitlines() or [f"it ended with {result.returncode}"]
    # The message names the folder, which no longer exists when the message is read.
    reason = lines[-1].removeprefix(f"{folder}: ")
    raise ExportError(f"{source}: predictd would refuse the model: {reason}")
