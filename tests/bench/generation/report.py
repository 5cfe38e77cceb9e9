"""What `scripts/bench generation` prints of its rounds for a person."""

import statistics

from bench.generation.results import Interference, Row
from bench.generation.rounds import RUNNING_STREAMS


def print_rates(title: str, load: str, rows: list[Row]) -> None:
    """Medians over the rounds; behind each opponent's rate predictd's in units of it."""
    ours, *opponents = list(rows[0].samples)
    print(f"\n{title}")
    print(_line(load, [f"{ours:>10}", *(f"{name:>14}  {'ratio (range)':19}" for name in opponents)]))
    for row in rows:
        cells = [f"{statistics.median(row.rates(ours)):10.1f}"]
        for name in opponents:
            ratios = row.ratios(ours, name)
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
            cells.append(f"{statistics.median(row.rates(name)):14.1f}  {spread:19}")
        print(_line(row.label, cells))


def print_times(load: str, rows: list[Row]) -> None:
    """Quantiles of all rounds' times together."""
    names = list(rows[0].samples)
    print("\nms, p50 and p99, to the first token, and between tokens")
    print(_line(load, [f"{name:29}" for name in names]))
    for row in rows:
        cells = []
        for name in names:
            (first, last_first), (gap, last_gap) = row.first_token_ms(name), row.gaps_ms(name)
            cells.append(f"{first:6.0f} {last_first:6.0f}  {gap:6.1f} {last_gap:6.1f} ")
        print(_line(row.label, cells))


def _line(label: str, cells: list[str]) -> str:
    return " | ".join([f"{label:>8}", *cells]).rstrip()


def print_interference(found: Interference, long_prompt_tokens: int) -> None:
    print(f"\np99 of the gaps of {RUNNING_STREAMS} streams, ms, beside prompts of {long_prompt_tokens} tokens")
    for name in found.alone:
        alone, beside = (statistics.median(found.p99(gaps, name)) for gaps in (found.alone, found.beside))
        ratios = found.ratios(name)
        print(
            f"{name:>14}: {alone:.1f} without, {beside:.1f} with,"
            f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        )
