"""llm's commands with the plugin, as a person at a shell runs them: whole processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import simdex

MODELS = Path(__file__).parent / "conftest.py"

# llm, with the model of these tests. A distribution would be the other way to bring one along.
LLM = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("test_models", {str(MODELS)!r})
models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(models)
from llm.plugins import pm
pm.register(models.Models(), name="test-models")
from llm.cli import cli
sys.argv[0] = "llm"
cli()
"""


def run(*arguments: str, input: str | None = None, env: dict[str, str] | None = None):
    return subprocess.run(
        [sys.executable, "-c", LLM, *arguments],
        capture_output=True,
        text=True,
        input=input,
        env={**os.environ, **(env or {})},
    )


def ok(*arguments: str, **kwargs) -> str:
    done = run(*arguments, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def notes(collection) -> str:
    """A collection in llm's own place."""
    return "notes"


@pytest.fixture
def indexed(notes) -> str:
    ok("simdex", "create", "notes-flat", "-c", "notes")
    return notes


def test_similar_is_the_same_with_and_without_an_index(notes, monkeypatch):
    calls = [
        ["similar", "notes", "id-3"],
        ["similar", "notes", "id-3", "-n", "2", "-p"],
        ["similar", "notes", "-c", "dog rain", "--prefix", "id-1"],
        ["similar", "notes", "id-3", "-c", "dog rain", "-n", "0"],
        ["similar", "notes", "id-3", "-n", "-1"],
    ]
    before = [ok(*call) for call in calls]
    ok("simdex", "create", "notes-flat", "-c", "notes")
    assert [ok(*call) for call in calls] == before
    assert [ok(*call, "--exact") for call in calls] == before
    assert [ok(*call, "--index", "notes-flat") for call in calls] == before


def test_where(indexed):
    output = ok("similar", "notes", "-c", "cat", "--where", "id in ('id-1', 'id-2')")
    assert {json.loads(line)["id"] for line in output.splitlines()} == {"id-1", "id-2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["notes", "nobody"], "ID not found in collection"),
        (["nothing", "id-1"], "Collection does not exist"),
        (["notes"], "Must provide content or an ID"),
        (["notes", "id-1", "--index", "nobody"], "nobody"),
        (["notes", "id-1", "--where", "nonsense ="], "syntax error"),
        (["notes", "id-1", "--where", "1) or (1"], "parentheses"),
        (["notes", "id-1", "--where", "load_extension('x') = 1"], "not authorized"),
    ],
)
def test_errors_are_one_message(indexed, arguments, message):
    done = run("similar", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_database_is_made_by_a_search(user_path):
    done = run("similar", "notes", "id-1")
    assert done.returncode == 1
    assert "No embeddings table found in database" in done.stderr
    assert list(user_path.iterdir()) == []


def test_an_index_that_cant_be_read_never_breaks_llm(indexed, path):
    expected = ok("similar", "notes", "id-3")
    catalog = path.parent / "embeddings.db.simdex" / "catalog.json"
    for file in catalog.parent.glob("catalog*"):
        file.write_text("{ nonsense")
    done = run("similar", "notes", "id-3")
    assert done.returncode == 0
    assert done.stdout == expected
    assert len(done.stderr.splitlines()) == 1


def test_a_native_module_that_is_broken_never_breaks_llm(indexed, tmp_path):
    expected = ok("similar", "notes", "id-3")
    # What a wheel of another platform looks like: a module that fails as it is loaded.
    broken = tmp_path / "broken" / "sitecustomize.py"
    broken.parent.mkdir()
    broken.write_text("import sys; sys.modules['simdex._native'] = None")
    done = run("similar", "notes", "id-3", env={"PYTHONPATH": str(broken.parent)})
    assert done.returncode == 0
    assert done.stdout == expected
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert run("--help", env={"PYTHONPATH": str(broken.parent)}).returncode == 0


def test_embed_multi_refreshes_the_index(indexed, tmp_path, path):
    rows = tmp_path / "rows.csv"
    rows.write_text("id,text\nnew-1,cat cat cat\nnew-2,dog dog dog\n")
    ok("embed-multi", "notes", str(rows))
    state = simdex.open(path).index("notes-flat")["state"]
    assert state["rows"] == 62
    ok("embed", "notes", "new-3", "-c", "rain rain", "-m", "test-hash")
    assert simdex.open(path).index("notes-flat")["state"]["rows"] == 63
    first = json.loads(ok("similar", "notes", "-c", "rain rain").splitlines()[0])
    assert first["id"] == "new-3"


def test_search_over_several_collections_with_llms_model(indexed, path):
    ok("embed", "letters", "a", "-c", "wind wind", "-m", "test-hash", "--store")
    ok("simdex", "create", "both", "-c", "notes", "-c", "letters")
    found = ok("simdex", "search", "both", "-c", "wind wind", "-n", "1", "--json")
    assert '"letters"' in found and '"a"' in found
    assert "id-4" in ok("simdex", "search", "notes-flat", "id-3", "-n", "60")
    refused = run("simdex", "search", "nothing", "-c", "wind")
    assert refused.returncode == 1 and "nothing" in refused.stderr


def test_every_command_has_help():
    listed = ok("simdex", "--help")
    for name in "create list show build refresh default compare verify drop search".split():
        assert f"  {name} " in listed
        assert "Examples:" in ok("simdex", name, "--help")


def test_the_life_of_an_index(indexed, path):
    assert "notes-flat" in ok("simdex", "list")
    assert "flat" in ok("simdex", "show", "notes-flat")
    ok("simdex", "build", "notes-flat")
    ok("simdex", "refresh", "notes-flat")
    ok("simdex", "verify", "notes-flat")
    ok("simdex", "create", "second", "-c", "notes", "--kind", "flat")
    ok("simdex", "default", "second")
    assert simdex.open(path).default_of("notes") == "second"
    assert "recall" in ok("simdex", "compare", "notes", "--queries", "10").lower()
    ok("simdex", "drop", "second", "--yes")
    assert run("simdex", "show", "second").returncode == 1
