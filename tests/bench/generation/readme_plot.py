"""Draws the plot of the front page from figures in tests/bench/README.md: `python -m bench.generation.readme_plot`."""

import re
from pathlib import Path

from bench.harness.svg_plot import Line, draw

README = Path(__file__).parents[1] / "README.md"
PLOT = Path(__file__).with_name("streams.svg")
# The columns of the table, after that of the streams, that are tokens a second.
COLUMNS = {0: "predictd", 3: "Q4_0", 1: "Q4_1", 5: "HTTP, Q4_1"}


def plot(text: str) -> str:
    """Of the one table whose rows are streams and whose first figure is predictd's tokens a second."""
    table = re.search(r"^\| streams \| predictd, tokens/s .*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None, "the table has gone"
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in table[1].splitlines()]
    lines = [
        Line(label, [(float(row[0]), float(row[column + 1].replace(",", ""))) for row in rows])
        for column, label in COLUMNS.items()
    ]
    title = "SmolLM2-135M on 2 cores: predictd and llama.cpp"
    return draw(title, "streams at once", "tokens/s", "", lines)


if __name__ == "__main__":
    PLOT.write_text(plot(README.read_text(encoding="utf-8")), encoding="utf-8")
