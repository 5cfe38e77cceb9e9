"""The operators among threads: those of callers, of other libraries, and of other processes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from decoder_parts import Decoder

CALLERS = 4


def generate(decoder: Decoder, seed: int, threads: int | None = None) -> Tensor:
    """A prompt and some tokens after it."""
    if threads is not None:
        torch.set_num_threads(threads)
    x = decoder.tokens(17, seed)
    parts = [decoder.run(x[:9], torch.arange(9).view(1, -1), slot=1)]
    parts += [decoder.run(x[i : i + 1], torch.tensor([[i]]), slot=1) for i in range(9, 17)]
    return torch.cat(parts)


@pytest.mark.parametrize("threads", [1, 2])
def test_callers_at_the_same_time_do_not_disturb_each_other(threads: int) -> None:
    decoders = [Decoder("q4", seed=seed) for seed in range(CALLERS)]
    expected = [generate(decoder, seed) for seed, decoder in enumerate(decoders)]
    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in range(5):
            calls = [pool.submit(generate, decoder, seed, threads) for seed, decoder in enumerate(decoders)]
            for call, result in zip(calls, expected, strict=True):
                assert torch.equal(call.result(), result)


def test_one_set_of_weights_serves_callers_at_the_same_time() -> None:
    decoders = [Decoder("q8", seed=1) for _ in range(CALLERS)]
    for decoder in decoders[1:]:
        decoder.weights = decoders[0].weights
    expected = [generate(decoder, seed) for seed, decoder in enumerate(decoders)]
    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(generate, decoder, seed, 2) for seed, decoder in enumerate(decoders)]
        assert all(torch.equal(call.result(), result) for call, result in zip(calls, expected, strict=True))


def test_within_a_parallel_region_a_step_runs_on_its_own_thread() -> None:
    """Of LibTorch's own OpenMP, whose members each call the operators."""
    members = 2
    openmp = ctypes.CDLL(str(next((Path(torch.__file__).parent / "lib").glob("libgomp*"))))
    decoders = [Decoder("q4", seed=seed) for seed in range(members)]
    expected = [generate(decoder, seed) for seed, decoder in enumerate(decoders)]
    results: dict[int, Tensor] = {}

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # type: ignore[untyped-decorator]
    def body(_: int | None) -> None:
        member = openmp.omp_get_thread_num()
        results[member] = generate(decoders[member], member, threads=2)

    openmp.GOMP_parallel(body, None, members, 0)
    assert sorted(results) == list(range(members))
    for member, result in results.items():
        assert torch.equal(result, expected[member])


@pytest.mark.parametrize("busy", [False, True], ids=["alone", "beside another process"])
def test_with_one_core_two_threads_do_not_spin(busy: bool) -> None:
    """Threads that meet hundreds of times a step must not wait for each other's turn each time."""
    processor = str(min(os.sched_getaffinity(0)))
    script = str(Path(__file__).with_name("time_steps.py"))
    command = ["taskset", "--cpu-list", processor, sys.executable, script, "10", "1", "2"]
    if busy:
        command.append("--busy")
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    alone, together = ([float(figure) for figure in line.split()] for line in done.stdout.splitlines())
    # A step beside another process has to wait for its turn, too: some ticks of the system's scheduler.
    patience = 20.0 if busy else 0.0
    for one, two in zip(alone, together, strict=True):
        assert two < 5 * one + patience
