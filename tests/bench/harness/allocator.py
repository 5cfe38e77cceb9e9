"""The allocator of what predictd is compared with: the one that predictd links, so that it is not what is measured."""

import argparse
import re
import sysconfig
from pathlib import Path

from bench.harness.failure import BenchFailure

JEMALLOC, LIBC = "jemalloc", "libc"
LIBRARY = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "", "libjemalloc.so.2")


def add_allocator_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--opponent-allocator", choices=(JEMALLOC, LIBC), default=JEMALLOC,
        help="of what predictd, which links jemalloc, is compared with (default: jemalloc)",
    )  # fmt: skip


def opponent_environment(options: argparse.Namespace) -> dict[str, str]:
    """What is to be added to an opponent's environment: jemalloc, with the settings that predictd has."""
    if options.opponent_allocator == LIBC:
        return {}
    if not LIBRARY.exists():
        raise BenchFailure(f"{LIBRARY} is missing (Debian: libjemalloc2): run scripts/setup --dev first")
    settings = re.search(r'malloc_conf = "(\S+)"', (options.root / "server" / "allocator.cc").read_text())
    assert settings is not None, "server/allocator.cc has no settings any more"
    return {"LD_PRELOAD": str(LIBRARY), "MALLOC_CONF": settings[1]}


def allocator_of(pid: int) -> str:
    """That of a running process, whoever gave it to it."""
    return JEMALLOC if "libjemalloc" in Path(f"/proc/{pid}/maps").read_text() else LIBC


def print_allocators(found: dict[str, str]) -> None:
    """By the processes' names."""
    if len(set(found.values())) == 1:
        print(f"allocator of {', '.join(found)}: {next(iter(found.values()))}")
        return
    print("NOT the same allocator: " + ", ".join(f"{name} {allocator}" for name, allocator in found.items()))
