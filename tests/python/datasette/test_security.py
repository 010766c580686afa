"""Nobody reads through a function or a page what they could not read without it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from hosting import IS_1, Host, SqlError, blob, faiss, fill, literal

Q = literal(blob(0))
ROWS = [(1, blob(1)), (2, blob(2))]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    public = fill(tmp_path / "public.db", "embeddings", ROWS, "INTEGER PRIMARY KEY")
    private = fill(tmp_path / "private.db", "embeddings", ROWS, "INTEGER PRIMARY KEY")
    return [public, private]


CONFIG = {"databases": {"private": {"allow": {"id": "root"}}}}
PLUGINS = faiss(("public", "embeddings"), ("private", "embeddings"))


@pytest.mark.parametrize(
    "sql",
    [
        f"select faiss_search('private', 'embeddings', {Q}, 2)",
        f"select faiss_search_with_scores('private', 'embeddings', {Q}, 2)",
        "select simdex_search('private', 'embeddings', '[0]', 2)",
        "select simdex_search('PRIVATE', 'Embeddings', '[0]', 2)",
    ],
)
def test_a_private_database_stays_private(host, files: list[Path], sql: str) -> None:
    started: Host = host(*files, plugins=PLUGINS, config=CONFIG)
    started.settle()
    reason = started.reason("public", sql)
    assert "that this connection can read" in reason
    # It reads the same as for one that isn't there.
    if "'private'" in sql:
        unknown = started.reason("public", sql.replace("'private'", "'nowhere'"))
        assert unknown.replace("nowhere", "private") == reason


def test_who_may_read_it_searches_it(host, files: list[Path]) -> None:
    started: Host = host(*files, plugins=PLUGINS, config=CONFIG)
    sql = f"select faiss_search('private', 'embeddings', {Q}, 2)"
    assert started.value("private", sql, actor="root") == "[1, 2]"
    path = "/private/-/query.json" if IS_1 else "/private.json"
    assert started.get(path, params={"sql": sql}).status_code == 403


def test_crossdb_reaches_what_is_attached(host, files: list[Path], tmp_path: Path) -> None:
    unlisted = fill(tmp_path / "later.db", "embeddings", ROWS, "INTEGER PRIMARY KEY")
    plugins = faiss(("public", "embeddings"), ("private", "embeddings"), ("later", "embeddings"))
    started: Host = host(*files, plugins=plugins, crossdb=True, memory=True)
    for database in ("public", "private"):
        sql = f"select faiss_search('{database}', 'embeddings', {Q}, 2)"
        for _ in range(2):
            assert started.value("_memory", sql) == "[1, 2]"
            started.settle()
    from datasette.database import Database

    started.datasette.add_database(Database(started.datasette, path=str(unlisted)), "later")
    sql = f"select faiss_search('later', 'embeddings', {Q}, 2)"
    # The connection was opened before the database was added: it is not attached.
    assert "that this connection can read" in started.reason("_memory", sql)
    assert started.value("later", sql) == "[1, 2]"


def test_a_schema_of_the_same_name_is_not_the_database(host, files: list[Path]) -> None:
    started: Host = host(*files, plugins=PLUGINS, config=CONFIG)
    sql = f"select faiss_search('private', 'embeddings', {Q}, 2)"

    def attach(conn: sqlite3.Connection) -> None:
        conn.execute("ATTACH ':memory:' AS private")
        try:
            conn.execute(sql).fetchone()
        finally:
            conn.execute("DETACH private")

    with pytest.raises(sqlite3.OperationalError):
        started.wait(started.datasette.get_database("public").execute_fn(attach))


def test_the_database_holds_no_table_of_ours(host, files: list[Path]) -> None:
    started: Host = host(*files, plugins=PLUGINS)
    started.value("public", f"select faiss_search('public', 'embeddings', {Q}, 2)")
    started.settle()
    names = started.rows("public", "select name from sqlite_master")
    assert names == [["embeddings"]]


def test_an_index_is_as_private_as_its_database(host, files: list[Path]) -> None:
    os.chmod(files[1], 0o600)
    started: Host = host(*files, plugins=PLUGINS)
    started.settle()
    for path in files[1].with_name("private.db.simdex").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_time_limits_end_a_long_scan(host, tmp_path: Path) -> None:
    rows = ((place, blob(*[float(place)] * 64)) for place in range(60_000))
    file = fill(tmp_path / "public.db", "embeddings", rows, "INTEGER PRIMARY KEY")
    started: Host = host(file, plugins=PLUGINS, settings={"sql_time_limit_ms": 30})
    (table, _) = started.datasette._simdex.tables
    vector = literal(blob(*[0.0] * 64))
    sql = f"select faiss_search('public', 'embeddings', {vector}, 2)"
    with pytest.raises(SqlError) as ended:
        started.rows("public", sql)
    assert "interrupted" in str(ended.value).lower() or "time limit" in str(ended.value).lower()
    assert not started.datasette._simdex.errors
    # What the search could not finish is finished in the background.
    started.settle()
    assert started.value("public", sql) == "[0, 1]"
    assert table.open().live.rows()[0] == 60_000


def test_a_huge_argument_is_harmless(host, files: list[Path]) -> None:
    started: Host = host(*files, plugins=PLUGINS)
    started.settle()
    sql = "select faiss_search('public', 'embeddings', zeroblob(1048576), 1000000000)"
    assert "the query has 262144 dimensions" in started.reason("public", sql)
    agg = "select faiss_agg(id, embedding, zeroblob(1048576), 1000000000) from embeddings"
    assert started.value("public", agg) == "[]"
    sql = f"select faiss_search('public', 'embeddings', {Q}, 1000000000)"
    assert started.value("public", sql) == "[1, 2]"
    sql = f"select faiss_search('public', 'embeddings', {Q}, 9223372036854775807)"
    assert started.value("public", sql) == "[1, 2]"
    assert "has 4096" not in started.reason(
        "public", "select simdex_search('public', 'embeddings', '[0]', 2, :o)", o="[" * 5000
    )


def test_bad_configuration_says_what_is_wrong(host, files: list[Path]) -> None:
    from simdex.datasette_plugin.config import ConfigError

    for tables, reason in (
        ([["public"]], "database, table"),
        ([{"database": "public"}], "`table` are needed"),
        ([{"database": "public", "table": "t", "metrik": "l2"}], "metrik"),
        ([{"database": "public", "table": "t", "metric": "l3"}], "l3"),
    ):
        with pytest.raises(ConfigError, match=reason):
            host(*files, plugins={"simdex": {"tables": tables}})
