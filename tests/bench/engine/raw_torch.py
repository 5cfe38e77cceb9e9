"""bench_raw_torch: what LibTorch alone makes of a model, in a loop."""

import argparse
import json
import os
import subprocess
from dataclasses import dataclass

from bench.engine.workloads import Workload
from bench.harness.allocator import opponent_environment
from bench.harness.failure import BenchFailure

TARGET = "bench_raw_torch"


@dataclass(frozen=True)
class RawResult:
    """One batch size, with all threads running."""

    rows_per_second: float
    rows_per_cpu_second: float
    # How long one batch takes.
    seconds_per_batch: float


def run_raw_torch(
    options: argparse.Namespace, workload: Workload, threads: int, batch_sizes: list[int], seconds: float
) -> dict[int, RawResult]:
    """Measures each batch size for that long, in a new process with the opponents' allocator."""
    command = [str(options.build_dir / "tests" / "bench" / TARGET), "--model", str(workload.model_file)]
    command += ["--dtype", workload.dtype, "--row-shape", "x".join(map(str, workload.row_shape))]
    command += ["--threads", str(threads), "--batch-sizes", ",".join(map(str, batch_sizes)), "--seconds", str(seconds)]
    environment = os.environ | opponent_environment(options)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=False, env=environment)
    if done.returncode != 0:
        raise BenchFailure(f"{TARGET} failed with status {done.returncode} (see above)")
    return parse_report(done.stdout)


def parse_report(text: str) -> dict[int, RawResult]:
    try:
        results = {int(rows): RawResult(**fields) for rows, fields in json.loads(text).items()}
        return dict(sorted(results.items()))
    except (ValueError, TypeError, AttributeError) as error:
        raise BenchFailure(f"{TARGET} printed something unexpected ({error}):\n{text}") from error
