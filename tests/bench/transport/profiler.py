"""Where a server's CPU time goes under load, from perf: by library, by function, and its system calls per call."""

import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.harness.contestants import WARM_UP_SECONDS, Contestant
from bench.harness.failure import BenchFailure
from bench.harness.load import Point

# Not a divisor of the kernel's tick rates, so that samples do not beat with timers.
SAMPLES_PER_SECOND = 1999
SYSTEM_CALLS = ["sendmsg", "recvmsg", "epoll_wait", "futex", "read", "write", "epoll_ctl"]
SHOWN_LIBRARIES = 12
SHOWN_FUNCTIONS = 25
FUNCTION_WIDTH = 80


def profile(servers: list[Contestant], point: Point, seconds: float) -> dict[str, dict[str, Any]]:
    """Profiles each server in turn for four times `seconds`, and prints what it finds."""
    require_perf()
    return {server.name: profile_one(server, point, 4 * seconds) for server in servers}


def profile_one(server: Contestant, point: Point, seconds: float) -> dict[str, Any]:
    print(f"\n== {server.name}, {point.in_flight} calls in flight, {point.connections} connection(s)")
    with tempfile.TemporaryDirectory(prefix="predictd-profile-") as folder:
        data = Path(folder) / "perf.data"
        record = ["record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND), "-p", str(server.server.pid)]
        rate, _ = under_load(server, point, seconds, [*record, "-o", str(data)])
        libraries = report(data, "dso")
        functions = report(data, "symbol,dso")
    print(f"{rate:,.0f} calls/s while sampled at {SAMPLES_PER_SECOND} Hz\nby library:")
    for percent, name in libraries[:SHOWN_LIBRARIES]:
        print(f"  {percent:5.1f} %  {name}")
    print("by function (of the kernel [k] or of the process [.], and its library):")
    for percent, name in functions[:SHOWN_FUNCTIONS]:
        function, _, library = name.rpartition("  ")
        print(f"  {percent:5.1f} %  {function[:FUNCTION_WIDTH]:{FUNCTION_WIDTH}}  {library}")
    calls = system_calls(server, point, seconds / 2)
    print("system calls and context switches for each call (`all` counts system calls):")
    for name, count in calls.items():
        print(f"  {count:6.3f}  {name}")
    if not calls:
        print("  not available: perf cannot read the kernel's tracepoints here (they need root)")
    return {"calls_per_second": rate, "libraries": libraries, "functions": functions, "system_calls": calls}


def under_load(server: Contestant, point: Point, seconds: float, perf: list[str]) -> tuple[float, str]:
    """Runs perf for that long in the middle of a load. Returns the load's calls per second and what perf printed."""
    printed = ""

    def watch() -> None:
        nonlocal printed
        time.sleep(WARM_UP_SECONDS)
        done = subprocess.run(["perf", *perf, "--", "sleep", f"{seconds}"], capture_output=True, text=True, check=False)
        printed = done.stdout + done.stderr

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        # perf takes a moment to attach and to write; its own `sleep` times what it counts.
        rate = server.load(point, seconds + 2 * WARM_UP_SECONDS + 0.5).calls_per_second
    finally:
        watcher.join()
    return rate, printed


def report(data: Path, sort: str) -> list[tuple[float, str]]:
    """Shares of the samples in percent, the largest first."""
    command = ["perf", "report", "-i", str(data), "--stdio", "--sort", sort, "--demangle", "-w", "0,0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # Newer kernels make perf add columns that it leaves empty: a dash each.
    rows = re.findall(r"^\s*([\d.]+)%\s+(\S.*?)(?:\s+-)*\s*$", done.stdout, re.MULTILINE)
    if not rows:
        raise BenchFailure(f"perf recorded nothing:\n{done.stderr}")
    return [(float(percent), re.sub(r"\s{2,}", "  ", name)) for percent, name in rows]


def system_calls(server: Contestant, point: Point, seconds: float) -> dict[str, float]:
    """How many of each the server makes for one call; empty where tracepoints cannot be read."""
    events = {"raw_syscalls:sys_enter": "all"} | {f"syscalls:sys_enter_{name}": name for name in SYSTEM_CALLS}
    events["context-switches"] = "context switches"
    counting = ["stat", "-x", ";", "-e", ",".join(events), "-p", str(server.server.pid)]
    rate, printed = under_load(server, point, seconds, counting)
    counts = re.findall(r"^(\d+);;([^;]+);", printed, re.MULTILINE)
    return {events[event]: int(count) / (rate * seconds) for count, event in counts if event in events}


def require_perf() -> None:
    try:
        subprocess.run(["perf", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchFailure("--profile needs perf (Debian: linux-perf)") from error
