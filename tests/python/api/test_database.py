"""`simdex.open`: indexes over a real SQLite database, from Python."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import sqlite_utils

import simdex

ROWS, DIM = 300, 8


def vectors(rows: int = ROWS, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype("f4")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """llm's tables with one collection, `posts`, and a table, `shop`."""
    monkeypatch.delenv("SIMDEX_INDEX_DIR", raising=False)
    path = tmp_path / "a.db"
    db = sqlite3.connect(path)
    db.executescript(
        """
        create table collections (id integer primary key, name text, model text);
        create table embeddings (
            collection_id integer, id text, embedding blob, content text, content_blob blob,
            content_hash blob, metadata text, updated integer, primary key (collection_id, id)
        );
        create table shop (id integer primary key, embedding blob);
        insert into collections values (1, 'posts', 'a-model');
        """
    )
    rows = [(str(i), row.tobytes(), f"post {i}") for i, row in enumerate(vectors())]
    insert = "insert into embeddings (collection_id, id, embedding, content) values (1, ?, ?, ?)"
    db.executemany(insert, rows)
    db.executemany("insert into shop values (?, ?)", [(i, row) for i, row, _ in rows])
    db.commit()
    db.close()
    return path


@pytest.fixture
def db(path: Path) -> simdex.Database:
    return simdex.open(path)


def nearest(query: np.ndarray, rows: np.ndarray, k: int) -> list[str]:
    """The obvious way."""
    rows, query = rows.astype("f8"), query.astype("f8")
    scores = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    return [str(row) for row in np.argsort(-scores, kind="stable")[:k]]


def ids(answer) -> list[str]:
    return [match.id for match in answer]


def test_an_index_gives_the_answers_of_a_scan(db):
    query = vectors(1, seed=2)[0]
    expected = nearest(query, vectors(), 7)
    assert ids(db.similar("posts", vector=query, number=7)) == expected
    created = db.create_index("posts-flat", "posts")
    assert created["state"]["rows"] == ROWS and created["default_for"] == ["posts"]
    assert db.default_of("posts") == "posts-flat"
    answer = db.similar("posts", vector=query, number=7)
    assert ids(answer) == expected and answer.plan["index"] == "posts-flat"
    assert answer[0].content == f"post {expected[0]}" and answer[0].source == "posts"
    assert ids(db.search("posts-flat", query, number=7)) == expected
    assert ids(db.similar("posts", vector=query, number=7, exact=True)) == expected


@pytest.mark.parametrize(
    "query",
    [
        lambda row: row.tobytes(),
        lambda row: row.astype("f8"),
        lambda row: row.tolist(),
        lambda row: tuple(row.tolist()),
        lambda row: memoryview(row),
        lambda row: np.repeat(row, 2)[::2],
    ],
)
def test_vectors_come_in_many_forms(db, query):
    assert ids(db.similar("posts", vector=query(vectors()[5]), number=1)) == ["5"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ([], simdex.InvalidError),
        ([1.0] * 7, simdex.InvalidError),
        ([float("nan")] * 8, simdex.InvalidError),
        ([0.0] * 8, simdex.InvalidError),
        (b"abc", simdex.InvalidError),
        ("text", TypeError),
        (np.zeros((2, 8), "f4"), simdex.InvalidError),
        (["a"] * 8, TypeError),
    ],
)
def test_bad_vectors_are_errors(db, query, error):
    with pytest.raises(error):
        db.similar("posts", vector=query)


def test_filters(db, tmp_path):
    query = vectors()[5]
    all_ids = ids(db.similar("posts", vector=query, number=-1))
    assert len(all_ids) == ROWS
    for exact in (False, True):
        found = db.similar("posts", vector=query, prefix="1", number=-1, exact=exact)
        assert ids(found) == [id for id in all_ids if id.startswith("1")]
        found = db.similar("posts", vector=query, where="content = 'post 9'", exact=exact)
        assert ids(found) == ["9"]
        db.create_index("again", "posts", default=True) if not exact else None
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("create table wanted (id text)")
    other.execute("insert into wanted values ('3'), ('4')")
    other.commit()
    found = db.similar(
        "posts", vector=query, ids="select id from o.wanted", attach={"o": tmp_path / "other.db"}
    )
    assert sorted(ids(found)) == ["3", "4"]


@pytest.mark.parametrize(
    "condition",
    [
        "1); delete from embeddings; select (1",
        "1) or (1",
        "load_extension('x')",
        "(select writefile('x', 'y'))",
        "id in (select id from",
        "1; drop table embeddings",
    ],
)
def test_conditions_only_read(db, condition):
    with pytest.raises(simdex.SimdexError):
        db.similar("posts", vector=vectors()[0], where=condition)
    assert len(db.similar("posts", vector=vectors()[0], number=-1)) == ROWS


def test_errors_are_one_family(db, tmp_path):
    with pytest.raises(simdex.NotFoundError, match="collections: posts"):
        db.similar("nothing", "1")
    with pytest.raises(simdex.NotFoundError, match="no id `nobody`"):
        db.similar("posts", "nobody")
    with pytest.raises(simdex.NotFoundError):
        simdex.open(tmp_path / "missing.db")
    with pytest.raises(simdex.InvalidError, match="an id or a vector"):
        db.similar("posts")
    with pytest.raises(simdex.InvalidError, match="kind"):
        db.create_index("x", "posts", kind="nonsense")
    with pytest.raises(simdex.InvalidError):
        db.create_index("x")
    db.create_index("x", "posts")
    with pytest.raises(simdex.InvalidError, match="x"):
        db.create_index("x", "posts")
    (tmp_path / "text.db").write_text("this is no database at all, only text" * 100)
    with pytest.raises(simdex.InvalidError, match="database"):
        simdex.open(tmp_path / "text.db").collections()
    with pytest.raises(TypeError):
        simdex.open(42)
    for error in (simdex.NotFoundError, simdex.InvalidError, simdex.BusyError):
        assert issubclass(error, simdex.SimdexError)


def test_tables_and_metrics(db):
    db.create_index("shop", simdex.Table("shop"))
    query = vectors(1, seed=3)[0]
    found = db.search("shop", query, number=3)
    distances = ((vectors().astype("f8") - query.astype("f8")) ** 2).sum(axis=1)
    assert ids(found) == np.argsort(distances)[:3].tolist()
    assert found[0].score == pytest.approx(distances.min())
    db.create_index("some", simdex.Table("shop", where="id < 10"), metric="cosine")
    assert all(id < 10 for id in ids(db.search("some", query)))


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_rows_are_as_of_now(db, path, mode):
    db.create_index("flat", "posts")
    other = sqlite3.connect(path)
    other.execute(f"pragma journal_mode = {mode}")
    query = vectors()[5]
    assert ids(db.similar("posts", vector=query, number=1)) == ["5"]
    other.execute("delete from embeddings where id = '5'")
    other.commit()
    assert ids(db.similar("posts", vector=query, number=1)) != ["5"]
    other.execute(
        "insert into embeddings (collection_id, id, embedding) values (1, 'new', ?)", [query]
    )
    other.commit()
    assert ids(db.similar("posts", vector=query, number=1)) == ["new"]
    report = db.refresh("flat")
    assert (report["upserts"], report["deletes"]) in {(1, 1), (0, 0)}
    assert ids(db.similar("posts", vector=query, number=1)) == ["new"]
    assert db.verify("flat")["problems"] == []


def test_the_database_is_left_as_it_was(path, tmp_path):
    before = path.read_bytes()
    db = simdex.open(path)
    db.create_index("flat", "posts")
    db.similar("posts", "1")
    db.drop_index("flat")
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} <= {"a.db", "a.db.simdex"}


def test_a_connection_names_the_file(path):
    for connection in (sqlite3.connect(path), sqlite_utils.Database(path)):
        db = simdex.open(connection)
        assert db.path == path.resolve()
        assert len(db.similar("posts", "1")) == 10
    with pytest.raises(simdex.InvalidError, match="memory"):
        simdex.open(sqlite3.connect(":memory:"))


WRITE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0)
try:
    db.execute("begin immediate")
    print("got in")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_locks_of_this_process_stay(path, mode):
    """A second copy of SQLite in the process would drop them as it closes the file."""
    mine = sqlite3.connect(path, isolation_level=None)
    mine.execute(f"pragma journal_mode = {mode}")
    mine.execute("begin immediate")
    mine.execute("delete from shop where id = 1")
    db = simdex.open(path)
    db.create_index("flat", "posts")
    db.similar("posts", "1")
    db.collections()
    del db
    done = subprocess.run([sys.executable, "-c", WRITE, str(path)], capture_output=True, text=True)
    assert done.stdout.strip() == "database is locked"
    mine.execute("rollback")
    assert mine.execute("select count(*) from shop").fetchone() == (ROWS,)


def test_a_log_is_not_copied_into_the_database(path):
    """In WAL mode the last connection to close would do so."""
    writer = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
            "db.execute('pragma journal_mode = wal'); db.execute('delete from shop');"
            "db.commit(); os._exit(0)",
            str(path),
        ],
        check=True,
    )
    assert writer.returncode == 0
    before = path.read_bytes()
    assert len(simdex.open(path).similar("posts", "1")) == 10
    assert path.read_bytes() == before
    assert sqlite3.connect(path).execute("select count(*) from shop").fetchone() == (0,)


def test_ids_of_every_type(tmp_path):
    path = tmp_path / "ids.db"
    other = sqlite3.connect(path)
    other.execute("create table t (id, embedding)")
    odd = [1, 2.5, "text", b"bytes", None, "naïve ☃"]
    for id in odd:
        other.execute("insert into t values (?, ?)", [id, vectors()[0]])
    other.execute("insert into t values (cast(x'ff41' as text), ?)", [vectors()[0]])
    other.commit()
    db = simdex.open(path)
    db.create_index("t", simdex.Table("t"))
    found = ids(db.search("t", vectors()[0]))
    assert found == [None, 1, 2.5, "naïve ☃", "text", "\udcffA", b"bytes"]


def test_many_threads(db, path):
    db.create_index("flat", "posts")
    problems: list[BaseException] = []
    expected = ids(db.similar("posts", "7"))

    def work() -> None:
        try:
            for _ in range(20):
                assert ids(db.similar("posts", "7")) == expected
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_progress_and_its_errors(db):
    stages: list[tuple[str, int, int | None]] = []
    db.create_index("flat", "posts", progress=lambda *step: stages.append(step))
    assert ("reading", ROWS, ROWS) in stages


INTERRUPT = """
import os, signal, sys, simdex
# Shells start what runs in the background deaf to Ctrl-C, and whoever is started by that is deaf too.
signal.signal(signal.SIGINT, signal.default_int_handler)
db = simdex.open(sys.argv[1])
def progress(stage, done, total):
    os.kill(os.getpid(), signal.SIGINT)
try:
    db.create_index("flat", "posts", progress=progress)
except KeyboardInterrupt:
    print("stopped", db.indexes())
"""


def test_ctrl_c_stops_a_build(path):
    big = sqlite3.connect(path)
    blob = vectors()[0].tobytes()
    rows = ((f"more-{i}", blob) for i in range(60_000))
    big.executemany(
        "insert into embeddings (collection_id, id, embedding) values (1, ?, ?)", rows
    )
    big.commit()
    command = [sys.executable, "-c", INTERRUPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "stopped []", done.stderr


def test_files_take_the_databases_permissions(path):
    path.chmod(0o600)
    db = simdex.open(path)
    db.create_index("flat", "posts")
    for file in (path.parent / "a.db.simdex").rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


def test_compare(db):
    found = db.compare("posts", tries=["flat"], queries=20, k=5)
    assert found["queries"] == 20
    assert found["trials"][0]["points"][0]["recall"] == 1.0


def test_the_command(path):
    command = [sys.executable, "-m", "simdex", "-d", str(path)]
    done = subprocess.run([*command, "index", "create", "f", "-c", "posts"], capture_output=True)
    assert done.returncode == 0
    done = subprocess.run([*command, "similar", "posts", "5"], capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 10
    done = subprocess.run([*command, "nonsense"], capture_output=True, text=True)
    assert done.returncode != 0 and "nonsense" in done.stderr


def test_blobs():
    assert simdex.encode([1, -2.5]) == b"\x00\x00\x80?\x00\x00 \xc0"
    assert simdex.decode(simdex.encode([1, -2.5])) == [1.0, -2.5]
    assert simdex.encode(np.array([1, 2], "f8")) == simdex.encode([1, 2])
    assert simdex.encode([]) == b""
    with pytest.raises(simdex.InvalidError):
        simdex.decode(b"abc")
