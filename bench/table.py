"""The results as a table in Markdown. By itself, shows a file: `table.py FILE [--cpu]`."""

import argparse
import json
from pathlib import Path
from typing import Any

from frontier import speed_at
from results import Results

RECALLS = (0.90, 0.95, 0.97, 0.99)
# Where speeds are compared.
RATIOS = (0.95, 0.99)
YARDSTICK = "hnswlib"
# A search that had less of its cores than this was disturbed, and is faster than it looks.
UNDISTURBED = 0.9
WALL = ("batch_queries_per_second", "queries_per_second", "build_seconds")
PROCESSOR = ("batch_queries_per_cpu_second", "queries_per_cpu_second", "build_cpu_seconds")
Clock = tuple[str, str, str]


def is_ours(name: str) -> bool:
    return name.startswith("simdex")


def speed(entry: dict[str, Any], recall: float, field: str) -> float | None:
    points = entry.get("points", [])
    known = [(point["recall"], point[field]) for point in points if field in point]
    return speed_at(known, recall)


def disturbed(entry: dict[str, Any], threads: int) -> float | None:
    """The share of its cores that the most disturbed search had, if that is too little."""
    shares = [e["cores_busy"] / threads for e in [entry, *entry["points"]] if "cores_busy" in e]
    least = min(shares, default=1.0)
    return least if least < UNDISTURBED else None


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _ratio(value: float | None, other: float | None) -> str:
    return "–" if value is None or other is None else f"{value / other:.2f}"


def _megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:,.0f}"


class Table:
    """One table of what was measured, by one clock."""

    def __init__(self, results: Results, clock: Clock) -> None:
        self.data = results["data"]
        self.batch, self.single, self.build = clock
        entries = results["peers"]
        self.failed = {name: entry for name, entry in entries.items() if "error" in entry}
        self.measured = {name: entry for name, entry in entries.items() if "error" not in entry}
        shares = {n: disturbed(e, self.data["threads"]) for n, e in self.measured.items()}
        self.disturbed = {name: share for name, share in shares.items() if share is not None}
        # By the wall, a disturbed search is no measure for others, nor others for it.
        self.unfit = set(self.disturbed) if clock == WALL else set()

    def _speed(self, name: str, recall: float) -> float | None:
        return speed(self.measured.get(name, {}), recall, self.batch)

    def _best_peer(self, recall: float) -> float | None:
        names = [name for name in self.measured if not is_ours(name)]
        if self.unfit.intersection(names):
            return None
        found = [self._speed(name, recall) for name in names]
        return max((value for value in found if value is not None), default=None)

    def _ratios(self, name: str) -> list[str]:
        if name in self.unfit:
            return ["–"] * (2 * len(RATIOS))
        yardstick = [None if YARDSTICK in self.unfit else self._speed(YARDSTICK, r) for r in RATIOS]
        others = yardstick + [self._best_peer(recall) for recall in RATIOS]
        return [_ratio(self._speed(name, r), other) for r, other in zip(RATIOS * 2, others)]

    def _row(self, name: str) -> str:
        entry = self.measured[name]
        cells = [f"{name} {entry['version']}: {entry['settings']}"]
        build = entry.get(self.build)
        cells += ["–" if build is None else f"{build:.1f}", _megabytes(entry["peak_memory_bytes"])]
        cells += [_count(self._speed(name, recall)) for recall in RECALLS]
        cells += [_count(speed(entry, recall, self.single)) for recall in RATIOS]
        return f"| {' | '.join(cells + self._ratios(name))} |"

    def _headings(self) -> list[str]:
        second = "s" if self.build == WALL[2] else "CPU s"
        batch = [f"q/{second} @ {recall:.2f}" for recall in RECALLS]
        single = [f"one by one @ {recall:.2f}" for recall in RATIOS]
        ratios = [f"× {of} @ {r:.2f}" for of in (YARDSTICK, "best peer") for r in RATIOS]
        return ["peer", f"build {second}", "extra MB", *batch, *single, *ratios]

    def _subject(self) -> str:
        data = self.data
        return (
            f"{data['name']}: {data['rows']:,} × {data['dimensions']}, {data['queries']:,} queries, "
            f"k = {data['k']}, threads: {data['threads']} to search, {data['build_threads']} to build"
        )

    def render(self) -> str:
        """One row a peer, the fastest at recall 0.95 first, then what could not be measured."""
        order = sorted(self.measured, key=lambda name: -(self._speed(name, RATIOS[0]) or 0))
        headings = self._headings()
        lines = [self._subject(), "", f"| {' | '.join(headings)} |"]
        lines += [f"|---|{'---:|' * (len(headings) - 1)}", *map(self._row, order), ""]
        lines += [f"- {name}: not measured: {entry['error']}" for name, entry in self.failed.items()]
        lines += [
            f"- {name}: disturbed, had {share:.2f} of its cores: slower here than it is"
            for name, share in self.disturbed.items()
        ]
        return "\n".join([*lines, "", *self._runs()])

    def _runs(self) -> list[str]:
        """Where and when; figures of several machines are no comparison, so they say so."""
        machines = sorted({entry["machine"]["processor"] for entry in self.measured.values()})
        dates = sorted({entry["date"] for entry in self.measured.values()})
        if not dates:
            return []
        lines = [f"{', '.join(machines)}; {' to '.join(sorted({dates[0], dates[-1]}))}"]
        if len(machines) > 1:
            lines.append("These are several machines: the ratios between them mean nothing.")
        return lines


def render(results: Results, clock: Clock = WALL) -> str:
    return Table(results, clock).render()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--cpu", action="store_true", help="by processor time, which others disturb less")
    given = parser.parse_args()
    print(render(json.loads(given.file.read_text()), PROCESSOR if given.cpu else WALL))


if __name__ == "__main__":
    main()
