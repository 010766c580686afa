"""Answers follow the rows, whoever writes them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hosting import Host, SqlError, blob, faiss, fill, literal

Q = literal(blob(0))
SEARCH = f"select faiss_search('blog', 'embeddings', {Q}, 9)"

WRITER = """
import sqlite3, sys
path, mode, sql = sys.argv[1:]
db = sqlite3.connect(path)
db.execute(f"PRAGMA journal_mode = {mode}")
db.executescript(sql)
db.commit()
"""


def write(file: Path, mode: str, sql: str) -> None:
    """Another process writes."""
    subprocess.run([sys.executable, "-c", WRITER, str(file), mode, sql], check=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [(place, blob(float(place))) for place in range(1, 5)]
    return fill(tmp_path / "blog.db", "embeddings", rows, "INTEGER PRIMARY KEY")


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate"])
@pytest.mark.parametrize("built", ["before it is built", "after"])
def test_another_process_writes(host, file: Path, mode: str, built: str) -> None:
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    if built == "after":
        started.settle()
    assert started.value("blog", SEARCH) == "[1, 2, 3, 4]"
    write(file, mode, f"INSERT INTO embeddings VALUES (7, {literal(blob(1.5))})")
    assert started.value("blog", SEARCH) == "[1, 7, 2, 3, 4]"
    write(file, mode, f"UPDATE embeddings SET embedding = {literal(blob(9))} WHERE id = 1")
    assert started.value("blog", SEARCH) == "[7, 2, 3, 4, 1]"
    write(file, mode, "DELETE FROM embeddings WHERE id IN (2, 3)")
    assert started.value("blog", SEARCH) == "[7, 4, 1]"
    # Twice in a row: the second time nothing has changed.
    assert started.value("blog", SEARCH) == "[7, 4, 1]"
    write(file, mode, "DELETE FROM embeddings")
    assert started.value("blog", SEARCH) == "[]"


def test_datasette_itself_writes(host, file: Path) -> None:
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    assert started.value("blog", SEARCH) == "[1, 2, 3, 4]"
    database = started.datasette.get_database("blog")
    started.wait(database.execute_write("DELETE FROM embeddings WHERE id = 2"))
    assert started.value("blog", SEARCH) == "[1, 3, 4]"
    # Also on the connection that writes.
    found = started.wait(database.execute_write_fn(lambda conn: conn.execute(SEARCH).fetchone()[0]))
    assert found == "[1, 3, 4]"


def test_every_thread_sees_a_change(host, file: Path) -> None:
    started: Host = host(
        file, plugins=faiss(("blog", "embeddings")), settings={"num_sql_threads": 4}
    )
    started.settle()
    database = started.datasette.get_database("blog")

    async def several() -> set[str]:
        import asyncio

        found = await asyncio.gather(*(database.execute(SEARCH) for _ in range(40)))
        return {result.first()[0] for result in found}

    for place in range(5, 9):
        before = started.wait(several())
        assert len(before) == 1
        write(file, "wal", f"INSERT INTO embeddings VALUES ({place}, {literal(blob(place))})")
        (after,) = started.wait(several())
        assert after == str(list(range(1, place + 1)))


def test_a_file_that_is_replaced(host, file: Path, tmp_path: Path) -> None:
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    assert started.value("blog", SEARCH) == "[1, 2, 3, 4]"
    other = fill(tmp_path / "other.db", "embeddings", [(8, blob(0))], "INTEGER PRIMARY KEY")
    os.replace(other, file)
    assert started.value("blog", SEARCH) == "[8]"


def test_the_next_start_finds_the_index(host, file: Path) -> None:
    first: Host = host(file, plugins=faiss(("blog", "embeddings")))
    first.settle()
    folder = file.with_name("blog.db.simdex")
    segments = {path.name for path in folder.rglob("*.segment")}
    assert segments
    second: Host = host(file, plugins=faiss(("blog", "embeddings")))
    second.settle()
    assert second.value("blog", SEARCH) == "[1, 2, 3, 4]"
    assert {path.name for path in folder.rglob("*.segment")} == segments


def test_index_dir(host, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    plugins = {"simdex": {"index-dir": str(folder), "tables": [["blog", "embeddings"]]}}
    started: Host = host(file, plugins=plugins)
    started.settle()
    assert started.value("blog", SEARCH) == "[1, 2, 3, 4]"
    assert list(folder.rglob("*.segment"))
    assert not file.with_name("blog.db.simdex").exists()


def test_the_configuration_of_our_own(host, tmp_path: Path) -> None:
    file = tmp_path / "blog.db"
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE posts (slug TEXT, vector BLOB, draft)")
    rows = [("a", blob(1, 0), 0), ("b", blob(9, 1), 0), ("c", blob(1, 1), 0), ("d", blob(1, 0), 1)]
    db.executemany("INSERT INTO posts VALUES (?, ?, ?)", rows)
    db.commit()
    entry = {
        "database": "blog",
        "table": "posts",
        "id": "slug",
        "embedding": "vector",
        "where": "draft = 0",
        "metric": "cosine",
    }
    started: Host = host(file, plugins={"simdex": {"tables": [entry]}})
    for _ in range(2):
        found = started.json("blog", "select simdex_search('blog', 'posts', '[1, 0]', 2)")
        assert [row["id"] for row in found] == ["a", "b"]
        assert found[0]["score"] == 1.0
        sql = "select simdex_search('blog', 'posts', '[1, 0]', 9, :options)"
        options = '{"metric": "l2", "exclude": ["a"]}'
        found = started.json("blog", sql, options=options)
        assert found == [{"id": "c", "score": 1.0}, {"id": "b", "score": 65.0}]
        found = started.json("blog", sql, options='{"ids": ["b", "c", "d", 7]}')
        assert [row["id"] for row in found] == ["b", "c"]
        # faiss's distances come from any index.
        assert (
            started.value("blog", "select faiss_search('blog', 'posts', faiss_encode('[9, 0]'), 1)")
            == '["b"]'
        )
        started.settle()
    agg = "select simdex_agg_with_scores(slug, vector, '[2, 0]', 2, :options) from posts"
    assert started.json("blog", agg, options='{"metric": "dot"}') == [
        {"id": "b", "score": 18.0},
        {"id": "a", "score": 2.0},
    ]
    agg = "select simdex_agg(slug, vector, '[2, 0]', 2) from posts where draft = 0"
    assert started.json("blog", agg) == ["a", "c"]
    assert "options" in started.reason("blog", sql, options="[]")
    assert "metric" in started.reason("blog", sql, options='{"metric": "hamming"}')


def test_a_database_in_memory(host) -> None:
    plugins = faiss(("scratch", "embeddings"))
    started: Host = host(plugins=plugins, memory=True)
    database = started.datasette.add_memory_database("scratch")

    def fill_it(conn: sqlite3.Connection) -> None:
        rows = [(1, blob(3)), (2, blob(1)), (3, None), (4, blob(1, 2)), (5, blob(2))]
        with conn:
            conn.execute("CREATE TABLE embeddings (id INTEGER PRIMARY KEY, embedding)")
            conn.executemany("INSERT INTO embeddings VALUES (?, ?)", rows)

    started.wait(database.execute_write_fn(fill_it))
    sql = f"select faiss_search('scratch', 'embeddings', {Q}, 9)"
    assert started.value("scratch", sql) == "[2, 5, 1]"
    started.wait(database.execute_write("DELETE FROM embeddings WHERE id = 5"))
    assert started.value("scratch", sql) == "[2, 1]"
    with pytest.raises(SqlError):
        started.value("_memory", sql)


def test_an_index_is_exact_unless_asked_otherwise(host, file: Path) -> None:
    entry = {"database": "blog", "table": "embeddings", "name": "mine"}
    tables = [["blog", "embeddings"], {**entry, "kind": "graph"}]
    started: Host = host(file, plugins={"simdex": {"tables": tables}})
    started.settle()
    kinds = [
        table.open().native.index(table.entry.index)["kind"]
        for table in started.datasette._simdex.tables
    ]
    assert kinds == ["flat", "graph"]


#: An index plugin that can do everything but search.
LAME = """
import json, sys
about = {"protocol": 1, "name": "lame", "version": "1", "about": "fails", "metrics": ["l2"]}
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"result": about if asked["method"] == "describe" else {}}
    if asked["method"] == "search":
        answer = {"error": {"code": -32000, "message": "<b>my</b> server is gone"}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""


def test_notices_reach_the_dashboard(host, file: Path, tmp_path: Path, monkeypatch) -> None:
    program = tmp_path / "simdex-index-lame"
    program.write_text(f"#!{sys.executable}{LAME}")
    program.chmod(0o755)
    monkeypatch.setenv("SIMDEX_PLUGIN_PATH", str(tmp_path))
    tables = [{"database": "blog", "table": "embeddings", "kind": "lame"}]
    started: Host = host(file, plugins={"simdex": {"tables": tables}})
    started.settle()
    assert "Last notices" not in started.get("/-/simdex", "root").text
    search = f"select simdex_search('blog', 'embeddings', {Q}, 1)"
    for _ in range(3):
        assert [row["id"] for row in json.loads(started.value("blog", search))] == [1]
    page = started.get("/-/simdex", "root").text
    said = "every row was compared, because plugin `lame`: &lt;b&gt;my&lt;/b&gt; server is gone"
    assert "Last notices" in page and page.count(said) == 2, "at first, and while it rests"
    assert "Last notices" not in started.get("/-/simdex").text


def test_what_was_defined_otherwise_is_defined_anew(host, file: Path) -> None:
    entry = {"database": "blog", "table": "embeddings", "name": "mine", "where": "id > 2"}
    started: Host = host(file, plugins={"simdex": {"tables": [{**entry, "where": "id < 3"}]}})
    started.settle()
    assert started.value("blog", SEARCH) == "[1, 2]"
    started = host(file, plugins={"simdex": {"tables": [entry]}})
    started.settle()
    assert started.value("blog", SEARCH) == "[3, 4]"


def test_two_processes_worth_of_hosts_share_one_index(host, file: Path) -> None:
    one: Host = host(file, plugins=faiss(("blog", "embeddings")))
    two: Host = host(file, plugins=faiss(("blog", "embeddings")))
    one.settle()
    for place in range(5, 8):
        write(file, "delete", f"INSERT INTO embeddings VALUES ({place}, {literal(blob(place))})")
        expected = str(list(range(1, place + 1)))
        assert one.value("blog", SEARCH) == two.value("blog", SEARCH) == expected
        (table,) = one.datasette._simdex.tables
        table.rebuild_in_background()
        one.settle()
    assert one.value("blog", SEARCH) == two.value("blog", SEARCH) == expected


def test_the_databases_locks_stay(host, file: Path) -> None:
    """A second SQLite in the process would drop the locks of the first as it closes the file."""
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("PRAGMA journal_mode = delete")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM embeddings WHERE id = 1")
    assert started.value("blog", SEARCH) == "[1, 2, 3, 4]"
    (table,) = started.datasette._simdex.tables
    table.rebuild_in_background()
    started.settle()
    other = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0)\n"
        "try: db.execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", other, str(file)], capture_output=True, text=True)
    assert said.stdout.strip() == "database is locked"
    writer.execute("COMMIT")
    assert started.value("blog", SEARCH) == "[2, 3, 4]"


def test_changes_keep_the_order_of_the_table_in_ties(host, file: Path) -> None:
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    write(file, "delete", f"UPDATE embeddings SET embedding = {literal(blob(1))}")
    write(file, "delete", f"INSERT INTO embeddings VALUES (-5, {literal(blob(1))})")
    assert started.value("blog", SEARCH) == "[-5, 1, 2, 3, 4]"
    write(file, "delete", f"UPDATE embeddings SET embedding = {literal(blob(2))} WHERE id = 2")
    write(file, "delete", f"UPDATE embeddings SET embedding = {literal(blob(1))} WHERE id = 2")
    assert started.value("blog", SEARCH) == "[-5, 1, 2, 3, 4]"
