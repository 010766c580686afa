"""The plugin ``milvus`` with a real process of Milvus Lite: the server's API, not its engine."""

from __future__ import annotations

import json
import random
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

from simdex.plugin import Settings
from simdex.plugins._remote import place
from simdex.plugins.milvus import Milvus

ROWS, DIM = 1200, 16
PROGRAMS = Path(sys.executable).parent
SECRET = "root:correct-horse"


class Server:
    """``milvus-lite server`` on a port of this machine."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(folder)]
        program = [str(PROGRAMS / "milvus-lite"), "server", *place]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self.process.stdout
        said = b""
        for line in self.process.stdout:
            said += line
            if b"listening" in line:
                break
        else:
            raise AssertionError(said.decode())
        # Nobody else reads it, and a full pipe would stop the server.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Cutter:
    """A proxy that cuts connections after seeded numbers of bytes, some times, and then no more."""

    def __init__(self, port: int, seed: int):
        self.port, self.random, self.left = port, random.Random(seed), 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.port))
            ends = (client, server)
            for pair in (ends, ends[::-1]):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        budget = self.random.randrange(1_000, 8_000)
        try:
            while data := source.recv(1024):
                budget -= len(data)
                if budget < 0 and self.cuts():
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cuts(self) -> bool:
        with self.lock:
            if self.left == 0:
                return False
            self.left -= 1
            return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("milvus"))
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMDEX_PLUGIN_PATH", str(PROGRAMS))
    monkeypatch.delenv("SIMDEX_INDEX_DIR", raising=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "simdex", *arguments]
    return subprocess.run(program, capture_output=True, text=True)


def collections(server: Server) -> list[str]:
    # In a process of its own: servers close connections that are kept alive and not used.
    listing = "import sys, pymilvus; print(*pymilvus.MilvusClient(sys.argv[1]).list_collections())"
    program = [sys.executable, "-c", listing, server.url]
    listed = subprocess.run(program, capture_output=True, text=True, check=True)
    return sorted(listed.stdout.split())


# Cosine comes to the plugin as dot of vectors of length 1.
@pytest.mark.parametrize("metric", ["l2", "dot"])
def test_conformance(metric: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMDEX_MILVUS_URL", server.url)
    before = collections(server)
    tested = command("plugin", "test", "milvus", "--json", "--metric", metric)
    checks = json.loads(tested.stdout)
    failed = [check for check in checks if check["outcome"] == "failed"]
    assert (failed, tested.returncode) == ([], 0), tested.stderr
    dropped = {"name": f"dropped builds ({metric})", "outcome": "passed", "detail": ""}
    assert dropped in checks
    assert collections(server) == before


class Quiet(Milvus):
    """Without simdex on the other side; more requests, so that cuts meet more of them."""

    batch = 40
    batch_of_deletes = 40

    def progress(self, done: int, total: int | None = None) -> None:
        pass


def holds(plugin: Milvus, wanted: dict[int, np.ndarray]) -> None:
    """Exactly these rows are on the server, each once, and searches find the nearest of them."""
    there = plugin.client.query(
        plugin.name_there,
        filter="row >= 0",
        output_fields=["row", "vector"],
        limit=16_000,
        consistency_level="Strong",
    )
    assert sorted(hit["row"] for hit in there) == sorted(wanted)
    for hit in there:
        assert np.array_equal(np.asarray(hit["vector"], "f4"), wanted[hit["row"]])
    numbers = np.array(list(wanted))
    vectors = np.array(list(wanted.values()))
    queries = np.random.default_rng(5).normal(size=(5, DIM)).astype("f4")
    for query, found in zip(queries, plugin.search(queries, 10, None)):
        near = numbers[np.argsort(((vectors - query) ** 2).sum(1))[:10]]
        assert list(found) == near.tolist()


@pytest.mark.parametrize("seed", [1, 2])
def test_cut_connections_lose_nothing(seed: int, server: Server) -> None:
    cutter = Cutter(server.port, seed)
    options = {"url": cutter.url, "M": 32, "ef_construction": 400, "ef": 1000, "timeout": 10}
    settings = Settings("l2", 1, DIM, options)
    vectors = np.random.default_rng(seed).normal(size=(ROWS + 300, DIM)).astype("f4")

    plugin = Quiet()
    cutter.left = 4
    plugin.build(vectors[:ROWS], settings)
    assert cutter.left == 0
    wanted = dict(enumerate(vectors[:ROWS]))
    holds(plugin, wanted)

    # Some rows go, some change, some are new.
    gone = np.arange(0, 200, dtype="u4")
    new = np.arange(100, 100 + 300, dtype="u4")
    new[150:] += ROWS
    cutter.left = 4
    plugin.remove(np.concatenate([gone, new]))
    plugin.add(new, vectors[ROWS:])
    assert cutter.left == 0
    wanted = {row: v for row, v in wanted.items() if row >= 200}
    wanted.update(zip(new.tolist(), vectors[ROWS:]))
    holds(plugin, wanted)
    assert len(plugin) == len(wanted)


def test_a_build_that_fails_leaves_no_collection(server: Server) -> None:
    class Broken(Quiet):
        def upsert(self, name: str, rows: list[int], vectors: np.ndarray) -> None:
            raise RuntimeError("enough")

    options: dict[str, Any] = {"url": server.url, "M": 16, "ef_construction": 100, "ef": 64}
    plugin = Broken()
    before = collections(server)
    with pytest.raises(RuntimeError, match="enough"):
        plugin.build(np.ones((3, DIM), "f4"), Settings("l2", 1, DIM, options | {"timeout": 10}))
    assert collections(server) == before


def test_no_collection_outlives_its_build(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMDEX_MILVUS_URL", server.url)
    before = collections(server)
    path = tmp_path / "a.db"
    db = sqlite3.connect(path)
    db.execute("create table rows (id integer primary key, embedding blob)")

    def put(start: int, count: int) -> None:
        vectors = np.random.default_rng(start).normal(size=(count, DIM)).astype("<f4")
        rows = [(start + row, vector.tobytes()) for row, vector in enumerate(vectors)]
        db.executemany("insert or replace into rows values (?, ?)", rows)
        db.commit()

    def run(*arguments: str) -> None:
        done = command("-q", *arguments, "-d", str(path))
        # A notice would be on stderr.
        assert (done.returncode, done.stderr) == (0, ""), done.stderr

    def ours() -> list[str]:
        return sorted(set(collections(server)) - set(before))

    put(0, 10_000)
    run("index", "create", "x", "--table", "rows", "--metric", "l2", "--kind", "milvus")
    [first] = ours()
    put(9_000, 5_000)
    run("index", "refresh", "x")
    assert ours() == [first], "an update goes on with the collection"
    run("index", "build", "x")
    [second] = ours()
    assert second != first
    run("compare", "x", "--queries", "5")
    assert ours() == [second]
    run("index", "drop", "x", "--yes")
    assert ours() == []


def test_answers_are_exact_without_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path / "data")
    monkeypatch.setenv("SIMDEX_MILVUS_URL", server.url)
    monkeypatch.setenv("SIMDEX_MILVUS_TOKEN", SECRET)
    path = tmp_path / "a.db"
    vectors = np.random.default_rng(3).normal(size=(ROWS, DIM)).astype("<f4")
    db = sqlite3.connect(path)
    db.execute("create table rows (id integer primary key, embedding blob)")
    db.executemany(
        "insert into rows values (?, ?)", [(row, v.tobytes()) for row, v in enumerate(vectors)]
    )
    db.commit()
    printed = ""

    def run(*arguments: str) -> tuple[str, str]:
        nonlocal printed
        done = command(*arguments, "-d", str(path))
        printed += done.stdout + done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def search() -> tuple[list[int], str]:
        db.execute("delete from rows where id = 7")
        db.execute("insert or replace into rows values (?, ?)", [ROWS, vectors[7].tobytes()])
        db.commit()
        out, said = run("search", "x", "--vector", json.dumps(vectors[7].tolist()))
        return [int(json.loads(line)["id"]) for line in out.splitlines()], said

    try:
        run("-q", "index", "create", "x", "--table", "rows", "--metric", "l2", "--kind", "milvus")
        shown, _ = run("index", "show", "x")
        assert re.search(r"simdex_[0-9a-f]{16}", shown)
        _, said = search()
        assert said == ""
    finally:
        server.kill()
    found, said = search()
    distances = ((vectors - vectors[7]) ** 2).sum(1)
    distances[7] = np.inf
    assert found == [ROWS, *np.argsort(distances)[:9].tolist()]
    assert "every row was compared" in said and "Traceback" not in said
    assert SECRET not in printed
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(SECRET.encode() in file.read_bytes() for file in files)


@pytest.mark.parametrize(
    "url, said",
    [
        ("./here.db", "must begin with http"),
        ("http://me:secret@127.0.0.1:1", "must hold no password"),
    ],
)
def test_an_address_that_will_not_do(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        place(url, "", "SIMDEX_MILVUS")


def test_a_token_goes_only_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMDEX_MILVUS_TOKEN", SECRET)
    monkeypatch.setenv("SIMDEX_MILVUS_URL", "https://milvus.example.com")
    there = place("", "http://127.0.0.1:19530", "SIMDEX_MILVUS")
    assert there.secret == SECRET and SECRET not in repr(there)
    assert place("https://elsewhere.example.com", "", "SIMDEX_MILVUS").secret == ""
    monkeypatch.setenv("SIMDEX_MILVUS_URL", "http://milvus.example.com")
    with pytest.raises(ValueError, match="plain http"):
        place("", "", "SIMDEX_MILVUS")
