"""`collection.similar*()` with the plugin: llm's own answers, from an index, never stale."""

from __future__ import annotations

import llm
import pytest
import sqlite_utils

import simdex
import simdex.llm_plugin  # noqa: F401  (puts simdex before llm's own search)
from simdex._llm import similar as plugin


@pytest.fixture
def indexed(collection: llm.Collection) -> llm.Collection:
    simdex.open(collection.db).create_index("notes-flat", "notes")
    return collection


def own(collection: llm.Collection, *args, **kwargs):
    """llm's own answer."""
    return llm.Collection.similar_by_vector.without_simdex(collection, *args, **kwargs)


def vector(collection: llm.Collection, text: str) -> list[float]:
    return collection.model().embed(text)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The indexes that searches went through."""
    indexes: list[str] = []
    search = simdex.Database.similar

    def noted(self, *args, **kwargs):
        answer = search(self, *args, **kwargs)
        indexes.append(answer.plan["index"])
        return answer

    monkeypatch.setattr(simdex.Database, "similar", noted)
    return indexes


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"number": 3},
        {"number": 0},
        {"number": -1},
        {"number": 1000},
        {"prefix": "id-1"},
        {"prefix": "ID-1"},
        {"prefix": "id_1"},
        {"prefix": "%9"},
        {"prefix": ""},
        {"skip_id": "id-3"},
        {"skip_id": "id-3", "number": -1},
        {"skip_id": "id-3", "number": 0},
        {"skip_id": "nobody", "number": 5},
        {"skip_id": "id-3", "prefix": "id-3", "number": 2},
    ],
)
def test_answers_are_llms(indexed, used, arguments):
    query = vector(indexed, "cat river snow")
    assert indexed.similar_by_vector(query, **arguments) == own(indexed, query, **arguments)
    if arguments.get("number") != 0:
        assert used == ["notes-flat"]


def test_by_value_and_by_id(indexed, used):
    found = indexed.similar("dog rain fire", number=4)
    assert found == own(indexed, vector(indexed, "dog rain fire"), 4)
    assert found[0].content and found[0].metadata == {"place": found[0].id}
    stored = llm.decode(next(indexed.db["embeddings"].rows_where("id = 'id-5'"))["embedding"])
    assert indexed.similar_by_id("id-5", 4) == own(indexed, list(stored), 4, skip_id="id-5")
    assert used == ["notes-flat", "notes-flat"]


def test_ids_that_are_numbers_in_the_program(indexed):
    indexed.embed(7, "cat tree river")
    indexed.embed(71, "cat tree stone")
    stored = indexed.model().embed("cat tree river")
    for arguments in ({"skip_id": 7}, {"prefix": 7}, {"skip_id": 7, "prefix": 7}):
        assert indexed.similar_by_vector(stored, **arguments) == own(indexed, stored, **arguments)
    assert "7" not in [entry.id for entry in indexed.similar_by_id(7, number=-1)]


def test_ties_come_by_id(indexed):
    for id in ("same-b", "same-a", "Same-c"):
        indexed.db.execute(
            "insert into embeddings (collection_id, id, embedding) select collection_id, ?, "
            "embedding from embeddings where id = 'id-0'",
            [id],
        )
    indexed.db.conn.commit()
    query = vector(indexed, dict_of(indexed)["id-0"])
    assert indexed.similar_by_vector(query, 5) == own(indexed, query, 5)


def dict_of(collection: llm.Collection) -> dict[str, str]:
    return {row["id"]: row["content"] for row in collection.db["embeddings"].rows}


def test_without_an_index_llm_answers(collection, used):
    query = vector(collection, "cat")
    assert collection.similar_by_vector(query) == own(collection, query)
    assert used == []


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_changes_are_seen_at_once(indexed, path, mode):
    indexed.db.execute(f"pragma journal_mode = {mode}")
    other = sqlite_utils.Database(path)
    query = vector(indexed, "snow wind fire")
    steps = [
        lambda: indexed.embed("new", "snow wind fire", store=True),
        lambda: other.execute("delete from embeddings where id = 'new'"),
        lambda: other.execute(
            "update embeddings set embedding = (select embedding from embeddings "
            "where id = 'id-9') where id = 'id-8'"
        ),
        lambda: other["embeddings"].delete_where("id like 'id-2%'"),
        lambda: other.vacuum(),
    ]
    for step in steps:
        step()
        other.conn.commit()
        assert indexed.similar_by_vector(query) == own(indexed, query)


def test_a_collection_made_anew_is_another_one(indexed, path, capsys):
    indexed.delete()
    again = llm.Collection("notes", sqlite_utils.Database(path), model_id="test-hash")
    again.embed("only", "cat dog bird")
    query = vector(again, "cat")
    assert [entry.id for entry in again.similar_by_vector(query)] == ["only"]


def test_rows_not_committed_yet_are_seen(indexed, used):
    blob = llm.encode(vector(indexed, "cloud cloud stone"))
    indexed.db.conn.execute("begin")
    indexed.db.conn.execute(
        "insert into embeddings (collection_id, id, embedding) values (?, 'pending', ?)",
        [indexed.id, blob],
    )
    assert indexed.similar("cloud cloud stone", number=1)[0].id == "pending"
    indexed.db.conn.execute("rollback")
    assert indexed.similar("cloud cloud stone", number=1)[0].id != "pending"


def test_a_database_in_memory_is_llms(used):
    collection = llm.Collection("notes", sqlite_utils.Database(memory=True), model_id="test-hash")
    collection.embed("a", "cat")
    assert [entry.id for entry in collection.similar("cat")] == ["a"]
    assert used == []


@pytest.mark.parametrize(
    "blob", [None, b"", b"abc", b"\0" * 64, b"\0\0\xc0\x7f" * 16, "text", b"\0\0\x80?" * 3]
)
def test_rows_that_cant_be_compared_are_left_out(indexed, blob):
    query = vector(indexed, "cat")
    before = indexed.similar_by_vector(query)
    indexed.db["embeddings"].insert({"collection_id": indexed.id, "id": "odd", "embedding": blob})
    assert indexed.similar_by_vector(query) == before


def test_a_query_of_another_size_is_an_error(indexed):
    with pytest.raises(simdex.InvalidError, match="3 dimensions.*16"):
        indexed.similar_by_vector([1.0, 2.0, 3.0])


def test_a_damaged_index_is_mended_with_one_line(indexed, path, capsys):
    query = vector(indexed, "cat")
    expected = own(indexed, query)
    for segment in (path.parent / "embeddings.db.simdex").rglob("*"):
        if segment.is_file() and segment.stat().st_size > 1000:
            segment.write_bytes(segment.read_bytes()[:-100])
    assert indexed.similar_by_vector(query) == expected
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "damaged" in lines[0]
    assert indexed.similar_by_vector(query) == expected
    assert capsys.readouterr().err == ""


def test_without_the_native_module_llm_answers_with_one_line(indexed, capsys, monkeypatch):
    query = vector(indexed, "cat")

    def broken(*args):
        raise ImportError("no native module")

    monkeypatch.setattr(plugin, "_database", broken)
    assert indexed.similar_by_vector(query) == own(indexed, query)
    assert capsys.readouterr().err == "simdex: searching without simdex: no native module\n"


def test_it_can_be_taken_out(indexed, used):
    plugin.uninstall()
    try:
        assert not hasattr(llm.Collection.similar_by_vector, "without_simdex")
        assert indexed.similar("cat")
        assert used == []
    finally:
        plugin.install()
        plugin.install()
    assert indexed.similar("cat")
    assert used == ["notes-flat"]
    assert not hasattr(llm.Collection.similar_by_vector.without_simdex, "without_simdex")
