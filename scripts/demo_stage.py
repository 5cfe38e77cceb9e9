"""What the demo stands on: the server that it starts, the commands that it runs, and how it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Everything is run in ROOT, so that the commands that are printed are those that were run.
PREDICTD = "build/bin/predictd"
PREDICTCTL = "build/bin/predictctl"
GRPCURL = ".venv/bin/grpcurl"
MODELS = "models"
SCRATCH = "build/demo"

WIDTH = 100
ADDRESS_VARIABLE = "PREDICTD_ADDRESS"
COMMAND_TIMEOUT_S = 60


class DemoError(Exception):
    """Ends the demo with its message as the one clear line."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """The document that `predictctl --json` or grpcurl printed."""
        try:
            return json.loads(self.stdout)
        except json.JSONDecodeError:
            raise DemoError(f"expected JSON, got: {(self.stdout + self.stderr).strip()[:300]}") from None


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> float:
    """Returns the seconds that it took until `condition` held."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_s:
            raise DemoError(f"waited {timeout_s:.0f} s in vain until {what}")
        time.sleep(0.02)
    return time.monotonic() - start


class Server:
    """The predictd of this demo. It is a process group of its own, so that a Ctrl-C in the terminal does not reach it
    before the demo has decided what to do."""

    def __init__(self, options: Sequence[str], port: int, metrics_port: int, log: Path | None) -> None:
        self.argv = [PREDICTD, "--model-repository", MODELS, "--listen", f"127.0.0.1:{port}"]
        self.argv += ["--metrics-listen", f"127.0.0.1:{metrics_port}", *options]
        self.log = log
        self._port_files = {"--port-file": f"{SCRATCH}/port", "--metrics-port-file": f"{SCRATCH}/metrics-port"}
        for file in self._port_files.values():
            (ROOT / file).unlink(missing_ok=True)
        files = [word for pair in self._port_files.items() for word in pair]
        stderr = log.open("wb") if log else None
        try:
            self.process = subprocess.Popen(
                [*self.argv, *files], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )
        finally:
            if stderr:
                stderr.close()

    def wait_ready(self) -> float:
        """Returns the seconds until the server's health was SERVING."""
        start = time.monotonic()
        port, metrics_port = (self._read_port(file) for file in self._port_files.values())
        self.address = f"127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        wait_until(self._serving, "the server's health was SERVING")
        return time.monotonic() - start

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples called `name` that have all of `labels`."""
        try:
            with urllib.request.urlopen(self.metrics_url, timeout=5) as answer:
                text = answer.read().decode()
        except OSError as error:
            self._alive()
            raise DemoError(f"the metrics cannot be read: {error}") from None
        total = 0.0
        for sample in re.finditer(rf"^predictd_{name}(?:{{(.*)}})? (\S+)", text, re.MULTILINE):
            found = dict(re.findall(r'(\w+)="([^"]*)"', sample[1] or ""))
            if labels.items() <= found.items():
                total += float(sample[2])
        return total

    def log_lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log else []

    def stop(self, grace_s: float = 10) -> None:
        """Leaves no process behind, whatever state the server is in."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _read_port(self, file: str) -> int:
        path = ROOT / file
        wait_until(lambda: self._alive() and path.exists() and path.read_text().strip() != "", f"{file} was written")
        return int(path.read_text())

    def _serving(self) -> bool:
        self._alive()
        check = [GRPCURL, "-plaintext", self.address, "grpc.health.v1.Health/Check"]
        answer = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        return '"SERVING"' in answer.stdout

    def _alive(self) -> bool:
        if self.process.poll() is not None:
            reason = self.log_lines()[-1:] or ["its reason is above"]
            raise DemoError(f"predictd ended with exit code {self.process.returncode}: {reason[0]}")
        return True


def free_port(wanted: int) -> int:
    """`wanted` if it is free on loopback, else 0: let the system choose."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


class Stage:
    """Prints the acts, runs their commands, and remembers the claims that did not hold and the figures that did."""

    def __init__(self) -> None:
        self.color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.unicode = "utf" in (sys.stdout.encoding or "").lower()
        self.failed_claims: list[str] = []
        self.summary = [("WHAT", "MEASURED")]
        self.address = ""
        self._children: list[subprocess.Popen[str]] = []
        self._act = 0
        self._act_holds = True

    # --- Printing ---

    def paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.color else text

    def act(self, title: str, explanation: str) -> None:
        self._act += 1
        self._act_holds = True
        self.heading(f"{self._act}  {title}")
        self.say(explanation)

    def heading(self, title: str) -> None:
        rule = ("─" if self.unicode else "-") * (WIDTH - len(f" {title} "))
        print(f"\n{self.paint('1', f' {title}')} {self.paint('2', rule)}")

    def say(self, text: str) -> None:
        print(textwrap.fill(text, WIDTH - 4, initial_indent="    ", subsequent_indent="    "))

    def command(self, argv: Sequence[str], comment: str = "") -> None:
        """A command as a shell takes it, broken where it is too long, but never between an option and its value."""
        parts: list[str] = []
        for word in argv:
            takes_value = bool(parts) and (parts[-1].startswith("--") or parts[-1] == "-d") and " " not in parts[-1]
            if takes_value and not word.startswith("-"):
                parts[-1] += f" {self._quote(word)}"
            else:
                parts.append(self._quote(word))
        lines = [parts[0]]
        for part in parts[1:]:
            last_line, first_line = lines[-1].rpartition("\n")[2], part.partition("\n")[0]
            if len(last_line) + len(first_line) > WIDTH - 10:
                lines.append(part)
            else:
                lines[-1] += f" {part}"
        print("\n  " + self.paint("36", "$ " + " \\\n        ".join(lines)), end="")
        if comment:
            indent = 8 if len(lines) > 1 else 4
            fits = indent + len(lines[-1]) + len(f"   # {comment}") <= WIDTH
            print(("   " if fits else "\n    ") + self.paint("2", f"# {comment}"), end="")
        print()

    def output(self, text: str) -> None:
        """What a command printed; less indented if it is wide, so that its columns stay whole."""
        lines = text.rstrip().splitlines()
        widest = max(map(len, lines), default=0)
        indent = " " * min(4, WIDTH - widest if widest <= WIDTH else 4)
        for line in lines:
            for part in textwrap.wrap(line, WIDTH - len(indent), subsequent_indent="    ") or [""]:
                print(indent + part)

    def table(self, rows: Sequence[Sequence[str]], right: str = "") -> None:
        """Aligned columns under a first row of headings; `right` has the numbers of those aligned to the right."""
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for index, row in enumerate(rows):
            cells = [
                cell.rjust(width) if str(column) in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            line = "    " + "   ".join(cells).rstrip()
            print(self.paint("2", line) if index == 0 else line)

    def claim(self, holds: bool, text: str) -> None:
        """A sentence that this run has just measured to be true, or not."""
        if not holds:
            self.failed_claims.append(text)
            self._act_holds = False
        yes, no = ("✓", "✗") if self.unicode else ("yes:", "NO:")
        mark = self.paint("32", yes) if holds else self.paint("1;31", f"{no} does not hold:")
        print(textwrap.fill(text, WIDTH - 4, initial_indent=f"  {mark} ", subsequent_indent="    "))

    def summarize(self, what: str, figure: str) -> None:
        """A line of the closing table; says so instead if a claim of this act did not hold."""
        self.summary.append((what, figure if self._act_holds else self.paint("1;31", "does not hold, see above")))

    # --- Running ---

    def predictctl(self, *arguments: str, comment: str = "") -> Result:
        return self._run([PREDICTCTL, *arguments], comment)

    def grpcurl(self, *arguments: str) -> Result:
        return self._run([GRPCURL, *arguments], "")

    def start(self, *argv: str, show: bool = True, comment: str = "", stdin: str = "") -> subprocess.Popen[str]:
        """Starts a command whose output is to be read while it runs. `stdin` is a few lines that it finds there."""
        if show:
            self.command(["printf", stdin.replace("\n", "\\n"), "|", *argv] if stdin else argv, comment)
        child = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=os.environ | {ADDRESS_VARIABLE: self.address},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._children.append(child)
        if child.stdin is not None:
            child.stdin.write(stdin)
            child.stdin.close()
            child.stdin = None
        return child

    def finish(self, child: subprocess.Popen[str]) -> Result:
        try:
            stdout, stderr = child.communicate(timeout=COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            argv = child.args
            assert isinstance(argv, Sequence)
            raise DemoError(f"{Path(str(argv[0])).name} did not end within {COMMAND_TIMEOUT_S} s") from None
        self._children.remove(child)
        return Result(child.returncode, stdout, stderr)

    def end_children(self) -> None:
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.wait()

    def _run(self, argv: Sequence[str], comment: str) -> Result:
        return self.finish(self.start(*argv, comment=comment))

    def _quote(self, word: str) -> str:
        if word == "|":
            return word
        return f"${ADDRESS_VARIABLE}" if self.address and word == self.address else shlex.quote(word)


def events(child: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The events of a `predictctl --json stream`, as they come."""
    assert child.stdout is not None
    for line in child.stdout:
        yield json.loads(line)


def check_programs() -> None:
    missing = [program for program in (PREDICTD, PREDICTCTL, GRPCURL) if not shutil.which(ROOT / program)]
    if missing:
        raise DemoError(f"{', '.join(missing)} missing: run scripts/setup")


def raise_on_signals() -> None:
    """Makes Ctrl-C, SIGTERM and (but for nohup) a closed terminal a KeyboardInterrupt: what was started is stopped."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
