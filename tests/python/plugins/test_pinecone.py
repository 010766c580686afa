"""The plugin ``pinecone`` over a fake of the service, which is no proof that the service agrees."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import fake_pinecone
import numpy as np
import pytest
from fake_pinecone import Fake, Index

from simdex.plugin import Settings
from simdex.plugins.pinecone import Behind, Pinecone, address, is_trusted

ROWS, DIM = 1200, 16
#: Of the rows that `plugin test` sends.
DIM_OF_CHECKS = 24
PROGRAMS = Path(sys.executable).parent
KEY = "pcsk_correct_horse_battery"
METRICS = {"cosine": "cosine", "l2": "euclidean", "dot": "dotproduct"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with fake_pinecone.running(KEY) as fake:
        monkeypatch.setenv("PINECONE_API_KEY", KEY)
        monkeypatch.setenv("SIMDEX_PINECONE_CONTROL", f"http://{fake.control}")
        yield fake


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMDEX_PLUGIN_PATH", str(PROGRAMS))
    for name in ("SIMDEX_INDEX_DIR", "SIMDEX_PINECONE_HOST", "PINECONE_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "simdex", *arguments]
    return subprocess.run(program, capture_output=True, text=True)


class Quiet(Pinecone):
    """Without simdex on the other side; more requests, so that faults meet more of them."""

    batch = 100
    batch_of_deletes = 100

    def __init__(self) -> None:
        self.paused: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)

    def progress(self, done: int, total: int | None = None) -> None:
        pass


def settings(metric: str = "l2", folder: Path | None = None, **options: Any) -> Settings:
    given = {"index": METRICS[metric], "host": "", "control": "", "wait": 60, "timeout": 10}
    return Settings(metric, 1, DIM, given | options, folder)


def vectors(rows: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype("<f4")


@pytest.mark.parametrize("metric", METRICS)
def test_conformance(metric: str, fake: Fake) -> None:
    fake.add("checks", Index(METRICS[metric], DIM_OF_CHECKS))
    tested = command(
        "plugin", "test", "pinecone", "--json", "--metric", metric, "--set", "index=checks"
    )
    checks = json.loads(tested.stdout)
    failed = [check for check in checks if check["outcome"] == "failed"]
    assert (failed, tested.returncode) == ([], 0), tested.stderr
    assert fake.namespaces() == []
    assert fake.violations == []


def holds(plugin: Pinecone, fake: Fake, wanted: dict[int, np.ndarray]) -> None:
    """Exactly these rows are there, bit for bit, and searches find the nearest of them."""
    there = fake.indexes["euclidean"].namespaces[plugin.name_there].records
    assert sorted(map(int, there)) == sorted(wanted)
    assert all(np.array_equal(there[str(row)], vector) for row, vector in wanted.items())
    numbers, rows = np.array(list(wanted)), np.array(list(wanted.values()))
    queries = vectors(5, 7)
    for query, found in zip(queries, plugin.search(queries, 10, None)):
        near = numbers[np.argsort(((rows - query) ** 2).sum(1))[:10]]
        assert list(found) == near.tolist()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faults_lose_nothing(seed: int, fake: Fake) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    plugin, rows = Quiet(), vectors(ROWS + 300)
    chance = random.Random(seed)

    def faults() -> list[int | str]:
        """A third of the requests that follow."""
        kinds: list[int | str] = [429, 500, 503, "cut", "late cut"]
        list_of = [[chance.choice(kinds), 0, 0] for _ in range(8)]
        return [fault for few in list_of for fault in few]

    fake.faults = faults()
    plugin.build(rows[:ROWS], settings())
    assert fake.faults == []
    wanted = dict(enumerate(rows[:ROWS]))
    holds(plugin, fake, wanted)

    gone = np.arange(0, 200, dtype="u4")
    new = np.arange(100, 100 + 300, dtype="u4")
    new[150:] += ROWS
    fake.faults = faults()
    plugin.remove(np.concatenate([gone, new]))
    plugin.add(new, rows[ROWS:])
    fake.faults = []
    wanted = {row: v for row, v in wanted.items() if row >= 200}
    wanted.update(zip(new.tolist(), rows[ROWS:]))
    holds(plugin, fake, wanted)
    assert len(plugin) == len(wanted)


def test_the_server_says_how_long_to_wait(fake: Fake) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    plugin = Quiet()
    fake.retry_after, fake.faults = "7", [429, 500, 429]
    plugin.build(vectors(10), settings())
    assert plugin.paused[:3] == [7, 0.3, 7]
    # Not for ever, though.
    plugin = Quiet()
    fake.retry_after, fake.faults = "86400", [429]
    plugin.build(vectors(10), settings())
    assert plugin.paused[0] == 60


def test_what_is_refused_is_not_sent_again(fake: Fake) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    for status in (400, 401, 402, 403):
        plugin = Quiet()
        fake.faults = [0, status]
        with pytest.raises(Exception, match=f"answered {status}: refused, whatever … says"):
            plugin.build(vectors(10), settings())
        assert plugin.paused == []
        assert fake.namespaces() == []


@pytest.mark.parametrize(
    "index, metric, said",
    [
        (Index("euclidean", DIM + 1), "l2", f"has {DIM + 1} dimensions, the rows {DIM}"),
        (Index("cosine", DIM), "l2", "measures by cosine; for l2 it must by euclidean"),
        (Index("euclidean", DIM), "dot", "measures by euclidean; for dot it must by dotproduct"),
        (Index("dotproduct", DIM, kind="sparse"), "dot", "holds sparse vectors"),
        (Index("cosine", DIM, spec="pod"), "cosine", "is not serverless"),
    ],
)
def test_an_index_that_does_not_fit(index: Index, metric: str, said: str, fake: Fake) -> None:
    host = fake.add("theirs", index)
    with pytest.raises(ValueError, match=said):
        Quiet().build(vectors(10), settings(metric, index="theirs"))
    # An index that is named by its host tells as much, but for the pods.
    if index.spec == "serverless":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SIMDEX_PINECONE_HOST", f"http://{host}")
            with pytest.raises(ValueError, match=said):
                Quiet().build(vectors(10), settings(metric))
    assert fake.namespaces() == []


def test_an_index_that_is_not_there(fake: Fake) -> None:
    with pytest.raises(ValueError, match="Pinecone has no index `nobodys`"):
        Quiet().build(vectors(10), settings(index="nobodys"))
    with pytest.raises(ValueError, match="index=NAME or host=HOST"):
        Quiet().build(vectors(10), settings(index=""))


def test_large_rows_make_small_batches(fake: Fake) -> None:
    fake.add("euclidean", Index("euclidean", 20_000))
    rows = np.random.default_rng(1).normal(size=(20, 20_000)).astype("f4") * np.float32(-1e-30)
    given = settings()
    Quiet().build(rows, Settings("l2", 1, 20_000, given.options))
    sent = [asked for asked in fake.asked if asked == "POST /vectors/upsert"]
    assert len(sent) > 1
    assert fake.violations == []


def test_answers_that_are_behind_are_not_taken(fake: Fake, tmp_path: Path) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    plugin, rows = Quiet(), vectors(300)
    fake.is_indexing = False
    plugin.build(rows, settings(folder=tmp_path, wait=0))
    plugin.save(tmp_path)
    with pytest.raises(Behind, match="none of 3 writes"):
        list(plugin.search(rows[:1], 10, None))
    # Another process knows it, too; and once the server has caught up, all is found.
    other = Quiet()
    other.load(tmp_path, settings(wait=0))
    with pytest.raises(Behind):
        list(other.search(rows[:1], 10, None))
    fake.is_indexing = True
    other.settle()
    with pytest.raises(Behind):
        list(other.search(rows[:1], 10, None))
    other.wait = 60
    other.settle()
    assert next(iter(other.search(rows[:1], 1, None))) == [0]


def test_without_numbers_rows_are_counted(fake: Fake) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    fake.has_numbers = False
    plugin, rows = Quiet(), vectors(500)
    plugin.build(rows[:400], settings())
    plugin.remove(np.arange(150, dtype="u4"))
    plugin.add(np.arange(50, 150, dtype="u4"), rows[400:])
    wanted = {row: vector for row, vector in enumerate(rows[:400]) if row >= 150}
    wanted.update(zip(range(50, 150), rows[400:]))
    holds(plugin, fake, wanted)
    fake.is_indexing = False
    with pytest.raises(Behind, match="0 of 400 rows"):
        Quiet().build(rows[:400], settings(wait=0))
    assert len(fake.namespaces()) == 1


def test_rows_of_zeros_are_named(fake: Fake) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    rows = vectors(10)
    rows[7] = 0
    with pytest.raises(ValueError, match="row 7 is all zeros"):
        Quiet().build(rows, settings())


def test_the_key_goes_to_pinecone_and_where_the_environment_says(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add("euclidean", Index("euclidean", DIM))
    elsewhere = Fake(KEY)
    for options in [{"host": elsewhere.control}, {"control": elsewhere.control}]:
        for scheme in ("http://", "https://"):
            given = {name: scheme + host for name, host in options.items()}
            with pytest.raises(ValueError, match="the key is sent to pinecone.io"):
                Quiet().build(vectors(3), settings(**given))
    assert elsewhere.asked == []
    elsewhere.close()
    assert is_trusted("https://a-b.svc.us-east1-gcp.pinecone.io")
    assert not is_trusted("https://pinecone.io.example.com")
    assert not is_trusted("https://notpinecone.io")
    assert not is_trusted("http://a.pinecone.io")
    for wrong in ["http://a.pinecone.io", "https://me:key@a.pinecone.io", "ftp://a", "a/b", "a?b"]:
        with pytest.raises(ValueError):
            address(wrong)
    assert address("a.pinecone.io/") == "https://a.pinecone.io"
    monkeypatch.delenv("PINECONE_API_KEY")
    with pytest.raises(ValueError, match="PINECONE_API_KEY"):
        Quiet().build(vectors(3), settings())


def test_a_folder_of_somebody_elses_drops_nothing_of_others(fake: Fake, tmp_path: Path) -> None:
    index = Index("euclidean", DIM)
    fake.add("euclidean", index)
    index.namespaces["production"] = fake_pinecone.Namespace()
    server = address(fake.hosts["euclidean"], f"http://{fake.control}")
    noted = {"name": "production", "server": server, "lsn": 1}
    (tmp_path / "place.json").write_text(json.dumps(noted))
    with pytest.raises(ValueError, match="no place of ours"):
        Quiet().drop(tmp_path, None, settings().options)
    # Nor is one looked for at another server than it was made at.
    noted = {"name": "simdex_0123456789abcdef", "server": "https://example.com", "lsn": 1}
    (tmp_path / "place.json").write_text(json.dumps(noted))
    with pytest.raises(ValueError, match="is on https://example.com, and not on"):
        Quiet().drop(tmp_path, None, settings().options)
    assert list(index.namespaces) == ["production"]


def test_an_index_over_it(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command, with the key in a file: it is nowhere else afterwards."""
    secret = tmp_path / "secret" / "key"
    secret.parent.mkdir()
    secret.write_text(f"{KEY}\n")
    monkeypatch.delenv("PINECONE_API_KEY")
    monkeypatch.setenv("PINECONE_API_KEY_FILE", str(secret))
    fake.add("euclidean", Index("euclidean", DIM))
    path = tmp_path / "a.db"
    rows = vectors(10_000)
    db = sqlite3.connect(path)
    db.execute("create table rows (id integer primary key, embedding blob)")

    def put(numbers: range, vectors: np.ndarray) -> None:
        blobs = [(number, vector.tobytes()) for number, vector in zip(numbers, vectors)]
        db.executemany("insert or replace into rows values (?, ?)", blobs)
        db.commit()

    put(range(10_000), rows)
    printed = ""

    def run(*arguments: str, status: int = 0) -> tuple[str, str]:
        nonlocal printed
        done = command(*arguments, "-d", str(path))
        printed += done.stdout + done.stderr
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    def found(query: np.ndarray) -> tuple[list[int], str]:
        out, said = run("-vv", "search", "x", "--vector", json.dumps(query.tolist()))
        return [int(json.loads(line)["id"]) for line in out.splitlines()], said

    def nearest(query: np.ndarray) -> list[int]:
        all_rows = db.execute("select id, embedding from rows").fetchall()
        there = np.array([np.frombuffer(blob, "<f4") for _, blob in all_rows])
        order = np.argsort(((there - query) ** 2).sum(1), kind="stable")[:10]
        return [all_rows[row][0] for row in order]

    def right() -> None:
        answer, said = found(rows[7])
        assert answer == nearest(rows[7])
        assert "every row was compared" not in said

    create = ["-vv", "index", "create", "x", "--table", "rows", "--metric", "l2"]
    create += ["--kind", "pinecone", "--set"]
    _, said = run(*create, "api_key=pcsk_as_an_option", status=1)
    assert "has no parameter `api_key`" in said
    run(*create, "index=euclidean")
    [first] = fake.namespaces()
    right()
    # Changes that the server has not been told of, and then has.
    put(range(9_000, 14_000), vectors(5_000, 5))
    right()
    run("-vv", "index", "refresh", "x")
    assert fake.namespaces() == [first], "an update goes on with the namespace"
    right()
    run("-vv", "index", "build", "x")
    [second] = fake.namespaces()
    assert second != first
    assert second in run("index", "show", "x")[0]
    # A server that has not caught up loses no row.
    fake.is_indexing = False
    fake.indexes["euclidean"].namespaces[second].indexed -= 1
    answer, said = found(rows[7])
    assert answer == nearest(rows[7])
    assert "every row was compared" in said and "has not indexed all rows yet" in said
    fake.is_indexing = True
    fake.indexes["euclidean"].namespaces[second].indexed += 1
    run("compare", "x", "--queries", "5")
    assert fake.namespaces() == [second]
    # A key that is refused is an error without it, and nothing is lost.
    secret.write_text("pcsk_another\n")
    _, said = run("-vv", "index", "build", "x", status=1)
    assert "answered 401: Invalid API key …" in said
    secret.write_text(f"{KEY}\n")
    run("-vv", "index", "drop", "x", "--yes")
    assert fake.namespaces() == []
    assert "not run against the service" in run("plugin", "show", "pinecone")[0]

    assert "pcsk_" not in printed
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file != secret]
    assert files and not any(b"pcsk_" in file.read_bytes() for file in files)
