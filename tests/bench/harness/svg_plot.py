"""Line plots with two logarithmic axes as SVG, with nothing but Python."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 70, 52, 56
# Of two labels.
LEAST_DISTANCE = 14
COLOURS = ["#4269d0", "#c98500", "#d9433f", "#3a9a8f", "#3ca951", "#d63e8c", "#7c5cd6", "#8a6d4f"]


@dataclass(frozen=True)
class Line:
    label: str
    # x and y, both above 0.
    points: list[tuple[float, float]]


def draw(title: str, x_title: str, y_title: str, label_title: str, lines: list[Line]) -> str:
    """The plot. Its x axis is marked where there are points, its y axis at 1, 2 and 5 of each power of ten.

    Lines without points are left out; each other has its label at its end.
    """
    lines = [line for line in lines if line.points]
    xs = sorted({x for line in lines for x, _ in line.points})
    ys = [y for line in lines for _, y in line.points]
    marks = y_marks(min(ys), max(ys))
    x_place = scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    y_place = scale(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text((LEFT + WIDTH - RIGHT) / 2, TOP - 28, title, "middle", size=15),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_title, "middle"),
        _text(LEFT - 8, TOP - 14, y_title, "end"),
        _text(WIDTH - RIGHT + 8, TOP - 14, label_title, "start"),
    ]
    for mark in marks:
        y = y_place(mark)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{mark:g}", "end"))
    for x in xs:
        parts.append(f'<path d="M{x_place(x):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
        parts.append(_text(x_place(x), HEIGHT - BOTTOM + 20, f"{x:g}", "middle"))
    label_places = apart([y_place(line.points[-1][1]) for line in lines], LEAST_DISTANCE)
    for i, line in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        places = [(x_place(x), y_place(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(places[-1][0] + 8, label_places[i] + 4, line.label, "start", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def y_marks(low: float, high: float) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marks = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    begin = max(i for i, mark in enumerate(marks) if mark <= low)
    end = min((i for i, mark in enumerate(marks) if mark >= high and i > begin), default=begin + 1)
    return marks[begin : end + 1]


def apart(places: list[float], distance: float) -> list[float]:
    """The places, moved as little as it takes that any two are so far from each other, in the same order."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    # Those that touch each other, without the distances between them: they stand around the mean of where they were.
    groups: list[list[float]] = []
    for n, i in enumerate(order):
        groups.append([places[i] - n * distance])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    means = [fmean(group) for group in groups for _ in group]
    moved = {i: mean + n * distance for n, (i, mean) in enumerate(zip(order, means, strict=True))}
    return [moved[i] for i in range(len(places))]


def scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """Where a value is between two places, logarithmically."""
    span = math.log(high / low) if high > low else 1.0
    return lambda value: first + (last - first) * math.log(value / low) / span


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333", size: int = 12) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {where} fill="{colour}" font-size="{size}">{escape(text)}</text>'
