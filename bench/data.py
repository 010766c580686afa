"""Further data, so that nothing is tuned to one set alone: made here, the same for the same seed.

Each kind is one function that yields the base and the queries; unit lengths come later, in run.py.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Pair = tuple[Vectors, Vectors]

# Directions in which a cluster's rows really differ: embeddings fill far fewer than they have.
INTRINSIC = 24
# Rows made at a time, so that 3,072 dimensions fit in memory.
BLOCK = 10_000


class Clusters:
    """A mixture: centres, and around each a flat cloud of few directions with a little noise."""

    def __init__(self, random: Generator, count: int, dim: int) -> None:
        self.centres = random.standard_normal((count, dim), dtype=np.float32)
        shape = (16, INTRINSIC, dim)
        self.directions = random.standard_normal(shape, dtype=np.float32) / np.sqrt(INTRINSIC)
        # As in texts, a few subjects hold most of the rows.
        weights = 1 / np.arange(1, count + 1) ** 0.7
        self.weights = weights / weights.sum()

    def draw(self, random: Generator, rows: int) -> Vectors:
        count, dim = self.centres.shape
        vectors = np.empty((rows, dim), dtype=np.float32)
        for start in range(0, rows, BLOCK):
            part = vectors[start : start + BLOCK]
            subject = random.choice(count, size=len(part), p=self.weights)
            part[:] = random.standard_normal(part.shape, dtype=np.float32) * 0.1
            part += self.centres[subject]
            place = random.standard_normal((len(part), INTRINSIC), dtype=np.float32)
            for plane, directions in enumerate(self.directions):
                own = subject % len(self.directions) == plane
                part[own] += place[own] @ directions
        return vectors


def clustered(random: Generator, rows: int, queries: int, dim: int) -> Pair:
    """Queries of the same mixture as the rows."""
    mixture = Clusters(random, max(1, round(rows**0.5)), dim)
    return mixture.draw(random, rows), mixture.draw(random, queries)


def gaussian(random: Generator, rows: int, queries: int, dim: int) -> Pair:
    """No structure at all: the hardest for graphs, and for codes fitted to data."""
    base = random.standard_normal((rows, dim), dtype=np.float32)
    return base, random.standard_normal((queries, dim), dtype=np.float32)


def duplicates(random: Generator, rows: int, queries: int, dim: int) -> Pair:
    """30 of 100 rows are copies of others, some copied many times."""
    base, asked = clustered(random, rows, queries, dim)
    copies = random.choice(rows, size=rows * 3 // 10, replace=False)
    originals = np.setdiff1d(np.arange(rows), copies)
    # Squared, so that the first originals are copied far more often than the last.
    drawn = (random.random(len(copies)) ** 2 * len(originals)).astype(np.int64)
    base[copies] = base[originals[drawn]]
    return base, asked


def foreign(random: Generator, rows: int, queries: int, dim: int) -> Pair:
    """Queries out of the rows' distribution: another mixture, shifted, as texts asked of images."""
    base = Clusters(random, max(1, round(rows**0.5)), dim).draw(random, rows)
    asked = Clusters(random, max(1, round(queries**0.5)), dim).draw(random, queries)
    # A part of a row in each: without it, all rows are equally far, and 'nearest' means nothing.
    known = base[random.integers(rows, size=queries)]
    shift = random.standard_normal(dim, dtype=np.float32) * 0.5
    return base, asked + 0.5 * known + shift


KINDS: dict[str, tuple[Callable[[Generator, int, int, int], Pair], int]] = {
    "gaussian": (gaussian, 384),
    "clustered-1536": (clustered, 1536),
    "clustered-3072": (clustered, 3072),
    "duplicates": (duplicates, 384),
    "out-of-distribution": (foreign, 384),
}


def write(kind: str, rows: int, queries: int, seed: int, folder: Path) -> None:
    make, dim = KINDS[kind]
    base, asked = make(np.random.default_rng(seed), rows, queries, dim)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{kind}-{rows}-seed{seed}"
    np.save(folder / f"{stem}.npy", base)
    np.save(folder / f"{stem}-queries.npy", asked)
    print(folder / f"{stem}.npy", folder / f"{stem}-queries.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"{', '.join(KINDS)}; all of them if none is named")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the .npy files")
    given = parser.parse_args()
    unknown = [kind for kind in given.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"no kind is called {', '.join(unknown)}")
    for kind in given.kinds or KINDS:
        write(kind, given.rows, given.queries, given.seed, given.out)


if __name__ == "__main__":
    main()
