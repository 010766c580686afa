"""Recall against latency, drawn as SVG."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 44
COLOURS = ("#276890", "#b3561d", "#3f7d34", "#7a4b9a", "#8a6d1a")


def plot(points: list[dict[str, Any]]) -> Markup:
    """Points with `name`, `recall` and `milliseconds`; recall to the right, time upwards (log)."""
    if not points:
        return Markup("")
    least_recall = min(0.9, math.floor(min(point["recall"] for point in points) * 20) / 20)
    times = [max(point["milliseconds"], 1e-4) for point in points]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    high = max(high, low + 1)

    def x(recall: float) -> float:
        share: float = (recall - least_recall) / (1 - least_recall)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(milliseconds: float) -> float:
        share: float = (math.log10(max(milliseconds, 1e-4)) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="simdex-plot" '
        'aria-label="Recall against time of a search">'
    ]
    for step in range(5):
        recall = least_recall + (1 - least_recall) * step / 4
        parts.append(f'<path class="grid" d="M{x(recall):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text x="{x(recall):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{recall:.3g}</text>"
        )
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g} ms</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">recall</text>')
    names = list(dict.fromkeys(point["name"] for point in points))
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        own = [point for point in points if point["name"] == name]
        places = [(x(point["recall"]), y(point["milliseconds"])) for point in own]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in places)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for (px, py), point in zip(places, own):
            speed = f"recall {point['recall']:.4f}, {point['milliseconds']:.3f} ms"
            about = f"{name} {point['settings']}: {speed}"
            parts.append(
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}">'
                f"<title>{escape(about)}</title></circle>"
            )
        parts.append(
            f'<text x="{LEFT + 10}" y="{TOP + 16 + 16 * number}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    parts.append("</svg>")
    return Markup("".join(parts))
