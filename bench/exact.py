"""The truth, and how much of it an answer holds. All scores here are cosines in float64."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Sums in another order differ by a few units in the last place; that must not decide a tie.
TOLERANCE = 1e-12
# Queries scored at a time: k rows each, widened to float64.
BLOCK = 64


def normalized(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of unit length, C-contiguous float32; rows of zeros stay so."""
    wide = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths == 0, 1, lengths)


def scores(base: NDArray[np.float32], queries: NDArray[np.float32], rows: NDArray) -> Floats:
    """The score of each row (queries x k) with its query; minus infinity for a row that isn't one."""
    found = np.empty(rows.shape)
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        vectors = base[np.clip(rows[block], 0, len(base) - 1)].astype(np.float64)
        wide = queries[block].astype(np.float64)
        products = np.einsum("qkd,qd->qk", vectors, wide)
        lengths = np.linalg.norm(vectors, axis=2) * np.linalg.norm(wide, axis=1)[:, None]
        found[block] = products / np.where(lengths == 0, 1, lengths)
    found[(rows < 0) | (rows >= len(base))] = -np.inf
    return found


def nearest(base: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Row numbers (queries x k) of the highest scores, nearest first; O(queries x n x dim)."""
    # Floats pick candidates, with enough to spare that their rounding can't lose a row of the k.
    spare = min(len(base), k + 64)
    rows = np.empty((len(queries), spare), dtype=np.int64)
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        products = queries[block] @ base.T
        rows[block] = np.argpartition(-products, spare - 1, axis=1)[:, :spare]
    order = np.argsort(-scores(base, queries, rows), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1)


def thresholds(
    base: NDArray[np.float32], queries: NDArray[np.float32], truth: NDArray, k: int
) -> Floats:
    """The k-th highest score of each query."""
    return scores(base, queries, truth[:, :k]).min(axis=1)


def recall(found: Floats, rows: NDArray, least: Floats) -> float:
    """Share of the k rows whose score is at least the k-th true one; a row counts once."""
    good = found >= least[:, None] - TOLERANCE
    ordered = np.sort(np.where(good, rows, -1), axis=1)
    first = np.ones_like(good)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return float((first & (ordered >= 0)).sum() / rows.size)
