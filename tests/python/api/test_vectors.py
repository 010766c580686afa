"""`simdex.Flat` and `simdex.Graph`: indexes over arrays."""

from __future__ import annotations

import array
import threading

import numpy as np
import pytest

import simdex

KINDS = [simdex.Flat, simdex.Graph]


def rows(n: int = 500, dim: int = 12, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype("f4")


def scan(base: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """Scores of all rows, the obvious way."""
    base, query = base.astype("f8"), query.astype("f8")
    if metric == "l2":
        return ((base - query) ** 2).sum(axis=1)
    scores = base @ query
    if metric == "cosine":
        scores /= np.linalg.norm(base, axis=1) * np.linalg.norm(query)
    return scores


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("kind", KINDS)
def test_nearest_rows_and_their_scores(kind, metric):
    base, queries = rows(), rows(20, seed=2)
    index = kind(metric).fit(base)
    ids, scores = (np.asarray(table) for table in index.search_batch(queries, 5))
    assert ids.shape == scores.shape == (20, 5)
    for query, found, scored in zip(queries, ids, scores):
        expected = scan(base, query, metric)
        best = np.argsort(expected if metric == "l2" else -expected, kind="stable")[:5]
        assert found.tolist() == best.tolist()
        assert scored == pytest.approx(expected[best])
        assert index.search(query, 5) == list(zip(found.tolist(), scored.tolist()))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_and_go(kind):
    base = rows()
    index = kind().fit(base[:400])
    assert index.add(base[400:]) == list(range(400, 500))
    assert index.search(base[450], 1)[0].id == 450
    assert index.remove([450, 3, 9999]) == 2
    assert len(index) == 498
    assert index.search(base[450], 1)[0].id != 450
    assert index.add(base[450:451], ids=[450]) == [450]
    assert index.search(base[450], 1)[0].id == 450
    with pytest.raises(simdex.InvalidError, match="450"):
        index.add(base[:1], ids=[450])
    assert len(index) == 499


@pytest.mark.parametrize("kind", KINDS)
def test_files(kind, tmp_path):
    base = rows()
    index = kind("l2").fit(base, ids=range(1000, 1500))
    index.add(base[:2] + 1)
    index.remove([1001])
    index.save(tmp_path / "a.simdex")
    again = kind.open(tmp_path / "a.simdex")
    assert again.metric == "l2" and len(again) == len(index) == 501 and again.dim == 12
    assert again.search(base[0], 20) == index.search(base[0], 20)
    other = simdex.Graph if kind is simdex.Flat else simdex.Flat
    with pytest.raises(simdex.InvalidError):
        other.open(tmp_path / "a.simdex")
    with pytest.raises(simdex.NotFoundError):
        kind.open(tmp_path / "missing")
    whole = (tmp_path / "a.simdex").read_bytes()
    (tmp_path / "b.simdex").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(simdex.DamagedError):
        kind.open(tmp_path / "b.simdex")


@pytest.mark.parametrize(
    "given",
    [
        rows(3, 2),
        rows(3, 2).astype("f8"),
        rows(3, 2).T.copy().T,
        rows(6, 2)[::2],
        rows(3, 2).tolist(),
        [row.tobytes() for row in rows(3, 2)],
        list(rows(3, 2)),
        [array.array("f", row) for row in rows(3, 2)],
    ],
)
def test_rows_come_in_many_forms(given):
    index = simdex.Flat("l2").fit(given)
    expected = np.array([np.frombuffer(r, "f4") if isinstance(r, bytes) else r for r in given])
    assert len(index) == 3 and index.dim == 2
    assert index.search(expected[1].tolist(), 1)[0] == (1, pytest.approx(0, abs=1e-9))


def test_half_precision_is_exact():
    base = rows().astype("f2")
    index = simdex.Flat("l2").fit(base)
    assert index.search(base[3], 1) == [(3, 0.0)]


@pytest.mark.parametrize(
    "bad",
    [
        [[1.0, 2.0], [1.0]],
        [[float("nan"), 1.0]],
        [[float("inf"), 1.0]],
        [[0.0, 0.0]],
        np.zeros((2, 2, 2), "f4"),
        np.ones(3, "f4"),
        [b"abc"],
    ],
)
def test_bad_rows_are_errors(bad):
    with pytest.raises((simdex.InvalidError, TypeError)):
        simdex.Flat().fit(bad)


def test_edges():
    index = simdex.Flat().fit(rows(3))
    assert [hit.id for hit in index.search(rows(3)[2], 100)][0] == 2
    assert len(index.search(rows(3)[2], 100)) == 3
    assert index.search(rows(3)[2], 0) == []
    ids, scores = index.search_batch(rows(5), 100)
    assert ids.shape == (5, 3) and scores[4, 0] == index.search(rows(5)[4], 1)[0].score
    assert len(index.search_batch(rows(5), 0)[0]) == 0
    assert len(index.search_batch(rows(0), 3)[0]) == 0
    with pytest.raises(simdex.InvalidError, match="expected 12"):
        index.search([1.0, 2.0], 3)
    with pytest.raises(simdex.InvalidError, match="expected 12"):
        index.search_batch(rows(2, 5), 3)
    with pytest.raises(simdex.InvalidError, match="fit"):
        simdex.Flat().search([1.0])
    with pytest.raises(simdex.InvalidError, match="nonsense"):
        simdex.Graph(nonsense=3).fit(rows())
    with pytest.raises(OverflowError):
        index.search(rows(1)[0], -1)
    assert repr(simdex.Flat()) == "<simdex.Flat cosine, empty>"


def test_threads_search_side_by_side():
    base = rows(2000)
    index = simdex.Graph(recall=0.9, threads=1).fit(base)
    expected = [index.search(base[i], 3) for i in range(50)]
    found: dict[int, list] = {}

    def work(start: int) -> None:
        for i in range(start, 50, 4):
            found[i] = index.search(base[i], 3)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(50)] == expected
