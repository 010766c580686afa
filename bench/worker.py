"""One peer in a process of its own: builds, sweeps, and writes what it measured as JSON.

Started by run.py with the threads of the libraries already limited in the environment.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import exact
import peers
import process
from peers.base import Parameters, Peer, Rows, Vectors

# A pass takes as many queries as fit in this many seconds; exact scans would take minutes.
PASS_SECONDS = 4.0
# The best of so many passes: on a shared machine the fastest is the least disturbed.
PASSES = 3
# Nobody needs the end of a sweep that has found everything.
ENOUGH = 0.9995


@dataclass
class Clock:
    """The seconds that something took, by the wall and by the processor."""

    wall: float
    processor: float

    @property
    def cores(self) -> float:
        return self.processor / self.wall


def timed(work: Callable[[], object]) -> Clock:
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return Clock(time.perf_counter() - wall, time.process_time() - processor)


def best(work: Callable[[], object]) -> Clock:
    """The fastest pass."""
    return min((timed(work) for _ in range(PASSES)), key=lambda clock: clock.wall)


class Sweep:
    """Measures the searches of one index."""

    def __init__(
        self, peer: Peer, index: Any, base: Vectors, queries: Vectors, least: exact.Floats, k: int
    ) -> None:
        self.peer, self.index, self.base, self.k = peer, index, base, k
        self.queries, self.least = queries, least

    def point(self, parameters: Parameters) -> dict[str, Any]:
        batch = self.queries[: self._affordable(parameters)]
        single = batch[: min(len(batch), 1000)]

        def all_at_once() -> Rows:
            return self.peer.search_batch(self.index, batch, self.k, parameters)

        def one_by_one() -> None:
            for query in single:
                self.peer.search_one(self.index, query, self.k, parameters)

        rows = np.asarray(all_at_once(), dtype=np.int64)
        together, single_file = best(all_at_once), best(one_by_one)
        found = exact.scores(self.base, batch, rows)
        return {
            "parameters": parameters,
            "recall": exact.recall(found, rows, self.least[: len(batch)]),
            "batch_queries_per_second": len(batch) / together.wall,
            "queries_per_second": len(single) / single_file.wall,
            "batch_queries_per_cpu_second": len(batch) / together.processor,
            "queries_per_cpu_second": len(single) / single_file.processor,
            "queries": len(batch),
            # More than asked for: the library didn't obey. Less: others had the processor.
            "cores_busy": round(min(together.cores, single_file.cores), 2),
        }

    def _affordable(self, parameters: Parameters) -> int:
        few = self.queries[:20]
        start = time.perf_counter()
        self.peer.search_batch(self.index, few, self.k, parameters)
        each = (time.perf_counter() - start) / len(few)
        return max(20, min(len(self.queries), int(PASS_SECONDS / each)))


def measure(name: str, folder: Path, k: int, threads: int, build_threads: int) -> dict[str, Any]:
    base = np.load(folder / "base.npy")
    queries = np.load(folder / "queries.npy")
    truth = np.load(folder / "truth.npy")
    peer = peers.load(name)
    process.forget_peak()
    before = process.memory()
    built: list[Any] = []
    build = timed(lambda: built.append(peer.build(base, build_threads)))
    index = built[0]
    peak, after = process.peak(), process.memory()
    process.pin(threads)
    least = exact.thresholds(base, queries, truth, k)
    sweep = Sweep(peer, index, base, queries, least, k)
    points = []
    for parameters in peer.sweep(k):
        points.append(sweep.point(parameters))
        if points[-1]["recall"] >= ENOUGH:
            break
    known = before is not None and peak is not None and after is not None
    return {
        "package": peer.package,
        "version": version(peer.package),
        "settings": peer.settings,
        "build_seconds": build.wall,
        "build_cpu_seconds": build.processor,
        # The most that building took beyond the vectors given to it, and what stayed.
        "peak_memory_bytes": peak - before if known else None,
        "memory_bytes": after - before if known else None,
        "points": points,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(peers.NAMES))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("-k", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--build-threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    result = measure(given.name, given.folder, given.k, given.threads, given.build_threads)
    given.out.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
