"""From measured points to 'queries per second at a recall'."""

import math
from collections.abc import Iterable

Point = tuple[float, float]


def frontier(points: Iterable[Point]) -> list[Point]:
    """The (recall, speed) points that no other beats in both, by rising recall."""
    best: list[Point] = []
    for recall, speed in sorted(points, reverse=True):
        if not best or speed > best[-1][1]:
            best.append((recall, speed))
    return best[::-1]


def speed_at(points: Iterable[Point], recall: float) -> float | None:
    """The speed at a recall: the logarithm of speed runs straight between neighbours.

    The fastest point counts for every recall below its own; `None` above the highest.
    """
    best = frontier(points)
    if not best or best[-1][0] < recall:
        return None
    if best[0][0] >= recall:
        return best[0][1]
    for (low, fast), (high, slow) in zip(best, best[1:]):
        if recall <= high:
            part = (recall - low) / (high - low)
            return math.exp(math.log(fast) * (1 - part) + math.log(slow) * part)
    return None
