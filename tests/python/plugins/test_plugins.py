"""The index plugins that come with the package, as real programs over the real libraries."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simdex

ROWS, DIM = 2000, 16


def has_blas() -> bool:
    """Whether the system has what sqlite-vss is linked with."""
    try:
        for name in ["libblas.so.3", "liblapack.so.3"] if sys.platform == "linux" else []:
            ctypes.CDLL(name)
    except OSError:
        return False
    return True


#: `cargo xtask test` installs BLAS, or says that it is left out.
needs_blas = pytest.mark.skipif(not has_blas(), reason="there is no BLAS on this machine")

PLUGINS = ["numpy-matrix", "faiss", "hnswlib", "usearch", "sqlite-vec", "sqlite-vss", "qdrant-edge"]
TESTED = [
    pytest.param(plugin, marks=needs_blas) if plugin == "sqlite-vss" else plugin
    for plugin in PLUGINS
]
#: With a server, and tests of their own.
REMOTE = ["milvus", "pinecone"]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMDEX_PLUGIN_PATH", str(PROGRAMS))
    monkeypatch.delenv("SIMDEX_INDEX_DIR", raising=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "simdex", *arguments]
    return subprocess.run(program, capture_output=True, text=True)


def conforms(plugin: str, *options: str) -> None:
    settings = [word for option in options for word in ("--set", option)]
    tested = command("plugin", "test", plugin, "--json", *settings)
    checks = json.loads(tested.stdout)
    assert [check for check in checks if check["outcome"] == "failed"] == []
    assert tested.returncode == 0


@pytest.mark.parametrize("plugin", TESTED)
def test_conformance(plugin: str) -> None:
    conforms(plugin)


@pytest.mark.parametrize(
    "plugin, option",
    [("faiss", "factory=IVF16,Flat"), ("qdrant-edge", "full_scan_threshold=10")],
)
def test_conformance_of_another_structure(plugin: str, option: str) -> None:
    conforms(plugin, option)


def test_every_plugin_is_listed() -> None:
    listed = json.loads(command("plugin", "list", "--json").stdout)
    described = {plugin["name"]: plugin["error"] for plugin in listed}
    names = PLUGINS + REMOTE
    assert {name: described.get(name, "missing") for name in names} == dict.fromkeys(names)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    db = sqlite3.connect(path)
    db.execute("create table rows (id integer primary key, embedding blob)")
    vectors = np.random.default_rng(3).normal(size=(ROWS, DIM)).astype("<f4")
    db.executemany(
        "insert into rows values (?, ?)", [(row, v.tobytes()) for row, v in enumerate(vectors)]
    )
    db.commit()
    db.close()
    return path


@pytest.mark.parametrize("plugin", TESTED)
def test_an_index_stays_fresh(plugin: str, database: Path) -> None:
    def run(*arguments: str) -> str:
        done = command(*arguments, "-d", str(database))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    run("-q", "index", "create", "x", "--table", "rows", "--metric", "cosine", "--kind", plugin)
    db = sqlite3.connect(database)
    fresh = np.ones(DIM, "<f4")
    db.execute("insert into rows values (?, ?)", [ROWS, fresh.tobytes()])
    db.execute("delete from rows where id < 100")
    db.commit()
    vector = json.dumps(fresh.tolist())
    found = [json.loads(line) for line in run("search", "x", "--vector", vector).splitlines()]
    assert str(found[0]["id"]) == str(ROWS) and found[0]["score"] == pytest.approx(1)
    assert all(int(row["id"]) >= 100 for row in found) and len(found) == 10


@pytest.mark.parametrize(
    "options, said",
    [
        ("factory=nonsense", "could not parse index string nonsense"),
        ("factory=IVF16,PQ5", "factory=IVF16,PQ5"),
    ],
)
def test_faiss_says_what_is_wrong(options: str, said: str, database: Path) -> None:
    arguments = ["index", "create", "x", "--table", "rows", "--kind", "faiss", "--set", options]
    done = command(*arguments, "-d", str(database))
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    program = tmp_path / "simdex-index-lonely"
    program.write_text(
        f"#!{sys.executable}\n"
        "from simdex.plugin import Plugin, serve\n"
        "class Lonely(Plugin):\n"
        "    name, about, requires = 'lonely', 'alone', ('no-such-package',)\n"
        "serve(Lonely())\n"
    )
    program.chmod(0o755)
    os.environ["SIMDEX_PLUGIN_PATH"] = str(tmp_path)
    said = command("plugin", "show", "lonely").stderr
    assert "no-such-package is not installed; install it with:" in said


def test_the_helper_needs_no_native_module(tmp_path: Path) -> None:
    """A plugin must start where only numpy is, and print without breaking the protocol."""
    home = tmp_path / "simdex"
    home.mkdir()
    source = Path(simdex.__file__).parent
    shutil.copy(source / "plugin.py", home)
    (home / "__init__.py").write_text("")
    plugin = tmp_path / "noisy.py"
    plugin.write_text(
        "import os\n"
        "from simdex.plugin import Plugin, serve\n"
        "class Noisy(Plugin):\n"
        "    name, about, version = 'noisy', 'prints', '1'\n"
        "    def __len__(self):\n"
        "        print('Loading …'); os.system('echo more'); return 0\n"
        "    def stats(self): return {'rows': len(self), 'wide': float(2)}\n"
        "serve(Noisy())\n"
    )
    requests = [("describe", {}), ("stats", {}), ("nonsense", {}), ("close", {})]
    lines = "".join(
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"
        for number, (method, params) in enumerate(requests)
    )
    done = subprocess.run(
        [sys.executable, str(plugin)], input=lines, capture_output=True, text=True, check=True
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["id"] for reply in replies] == [0, 1, 2, 3]
    assert replies[1]["result"] == {"rows": 0, "wide": 2.0}
    assert replies[2]["error"]["code"] == -32601
    assert "Loading" in done.stderr and "more" in done.stderr


ROOT = Path(__file__).parents[3]


def test_a_new_plugin_passes(tmp_path: Path) -> None:
    """What `plugin new` writes, and what the guide shows in its place."""
    guide = (ROOT / "docs" / "write-a-plugin.md").read_text()
    example = next(
        block for block in guide.split("```python\n")[1:] if "class Matrix" in block
    ).split("```")[0]
    keeps = "".join(
        f"    {line}\n" if line else "\n"
        for block in guide.split("```python\n")[1:]
        if block.startswith("def save")
        for line in block.split("```")[0].splitlines()
    )
    folder = str(tmp_path / "new")
    written = command("plugin", "new", "--lang", "python", "my-index", "--directory", folder)
    assert written.returncode == 0, written.stderr
    module = tmp_path / "new" / "simdex_index_my_index.py"
    program = tmp_path / "simdex-index-my-index"
    os.environ["SIMDEX_PLUGIN_PATH"] = str(tmp_path)
    kept = example.replace("\n\ndef main", f"\n{keeps}\n\ndef main", 1)
    for source in [module.read_text(), example, kept]:
        program.write_text(f"#!{sys.executable}\n{source}")
        program.chmod(0o755)
        tested = command("plugin", "test", "my-index")
        assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "ok      restart, in a folder that has moved (dot)" in tested.stdout
