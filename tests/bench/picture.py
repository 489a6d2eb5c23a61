"""A picture of curves as SVG: offered load to the right, milliseconds upwards on a logarithmic scale."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 50, 60
COLOURS = ("#1b7837", "#b8860b", "#b2182b")  # p50, p95, p99
STYLE = "font-family:system-ui,sans-serif;font-size:12px"


@dataclass(frozen=True)
class Curve:
    """One line: its label and its points (per second, milliseconds)."""

    label: str
    points: list[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Scale:
    """Where a point of the data lies in the picture."""

    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.right

    def y(self, value: float) -> float:
        """Pixels from the top."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def draw(curves: Sequence[Curve], *, title: str, note: str) -> str:
    """Return the picture. Curves come in threes (p50, p95, p99), which share their colours."""
    points = [point for curve in curves for point in curve.points]
    low = math.floor(math.log10(max(0.01, min(y for _, y in points))))
    high = max(low + 1, math.ceil(math.log10(max(y for _, y in points))))
    scale = Scale(max(x for x, _ in points) * 1.05, low, high)
    lines = [*_frame(scale, title, note), *_curves(curves, scale)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" style="{STYLE}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            *lines,
            "</svg>\n",
        ]
    )


def _frame(scale: Scale, title: str, note: str) -> Iterator[str]:
    yield _text(LEFT, 22, title, weight="bold")
    yield _text(LEFT, 38, note, colour="#666666")
    for power in range(round(scale.low), round(scale.high) + 1):
        y = scale.y(10**power)
        yield _line([(LEFT, y), (WIDTH - RIGHT, y)], "#dddddd")
        yield _text(LEFT - 8, y + 4, f"{10**power:g}", anchor="end")
    step = _step(scale.right)
    for place in range(int(scale.right / step) + 1):
        x = scale.x(place * step)
        yield _line([(x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 5)], "#888888")
        yield _text(x, HEIGHT - BOTTOM + 20, f"{place * step:,.0f}", anchor="middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 15, "lifecycles offered per second", anchor="middle")
    yield f'<g transform="rotate(-90 18 {HEIGHT / 2:.0f})">{_text(18, HEIGHT / 2, "milliseconds", anchor="middle")}</g>'


def _step(right: float) -> float:
    power: float = 10 ** math.floor(math.log10(right))
    return next(power * part for part in (0.1, 0.2, 0.5, 1.0) if right / (power * part) <= 10)


def _curves(curves: Sequence[Curve], scale: Scale) -> Iterator[str]:
    for place, curve in enumerate(curves):
        colour, dash = COLOURS[place % len(COLOURS)], ' stroke-dasharray="6 4"' if curve.dashed else ""
        line = [(scale.x(x), scale.y(max(y, 10**scale.low))) for x, y in curve.points]
        yield _line(line, colour, width=2, more=dash)
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in line)
        y = TOP + 12 + place * 20
        yield _line([(WIDTH - RIGHT + 14, y), (WIDTH - RIGHT + 40, y)], colour, width=2, more=dash)
        yield _text(WIDTH - RIGHT + 46, y + 4, curve.label)


def _line(points: Sequence[tuple[float, float]], colour: str, *, width: int = 1, more: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = "#222222"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
