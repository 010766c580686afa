"""The six functions of datasette-faiss: the same bytes, and better edges."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hosting import Host, SqlError, blob, faiss, fill, literal
from simdex import _native

ROWS = [(1, blob(1, 0)), (2, blob(0.5, 0.5)), (3, blob(0, 1)), (4, blob(-1, 0))]
Q = literal(blob(1, 0))


@pytest.fixture
def plain(host, tmp_path: Path) -> Host:
    file = fill(tmp_path / "blog.db", "embeddings", ROWS, "INTEGER PRIMARY KEY")
    started = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    return started


def search(rest: str, table: str = "embeddings", name: str = "faiss_search") -> str:
    return f"select {name}('blog', '{table}', {rest})"


def test_what_datasette_faiss_answers(plain: Host) -> None:
    assert plain.value("blog", search(f"{Q}, 2")) == "[1, 2]"
    scores = plain.value("blog", search(f"{Q}, 3", name="faiss_search_with_scores"))
    assert scores == "[[1, 0.0], [2, 0.5], [3, 2.0]]"
    agg = f"select faiss_agg(id, embedding, {Q}, 2) from embeddings"
    assert plain.value("blog", agg) == "[1, 2]"
    agg = f"select faiss_agg_with_scores(id, embedding, {Q}, 2) from embeddings"
    assert plain.value("blog", agg) == "[[1, 0.0], [2, 0.5]]"


RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["name"])
def test_the_very_bytes_that_datasette_faiss_gave(host, tmp_path: Path, case: dict) -> None:
    """`record.py` ran the real one, at each level of instructions that faiss has."""
    level = {"avx2": "AVX2", "avx512": "AVX512", "avx512vnni": "AVX512"}
    expected = case["expected"][level.get(_native.INSTRUCTIONS, "NONE")]
    rows = [(id, bytes.fromhex(vector)) for id, vector in case["rows"]]
    file = fill(tmp_path / "blog.db", "embeddings", rows)
    started = host(file, plugins=faiss(("blog", "embeddings")))

    def answers() -> list[str]:
        return [
            started.value("blog", sql.replace(":q", f"x'{case['query']}'")) for sql in case["more"]
        ]

    # Before the index is built or after: the answer is the same.
    assert answers() == expected
    started.settle()
    assert answers() == expected


def test_no_more_results_than_rows(plain: Host) -> None:
    assert plain.value("blog", search(f"{Q}, 9")) == "[1, 2, 3, 4]"
    agg = f"select faiss_agg(id, embedding, {Q}, 9) from embeddings"
    assert plain.value("blog", agg) == "[1, 2, 3, 4]"


@pytest.mark.parametrize(
    "k, expected",
    [("0", "[]"), ("'2'", "[1, 2]"), ("2.0", "[1, 2]"), ("1000000000", "[1, 2, 3, 4]")],
)
def test_how_many(plain: Host, k: str, expected: str) -> None:
    assert plain.value("blog", search(f"{Q}, {k}")) == expected
    agg = f"select faiss_agg(id, embedding, {Q}, {k}) from embeddings"
    assert plain.value("blog", agg) == expected


@pytest.mark.parametrize("k", ["-1", "null", "2.7", "'many'", "9e999", "x'02'"])
def test_how_many_is_refused(plain: Host, k: str) -> None:
    assert "not a whole number from 0" in plain.reason("blog", search(f"{Q}, {k}"))
    agg = f"select faiss_agg(id, embedding, {Q}, {k}) from embeddings"
    assert "not a whole number from 0" in plain.reason("blog", agg)


def test_null_finds_null(plain: Host) -> None:
    assert plain.value("blog", search("null, 2")) is None
    assert plain.value("blog", search("null, 2", name="faiss_search_with_scores")) is None
    assert plain.value("blog", "select faiss_agg(id, embedding, null, 2) from embeddings") is None


@pytest.mark.parametrize(
    "vector, reason",
    [
        ("'[1, 0]'", "is text, not a blob"),
        ("3", "is a number, not a blob"),
        ("x''", "0 bytes"),
        ("x'0102'", "2 bytes"),
        (literal(blob(1, 2, 3)), "the query has 3 dimensions, the rows of `embeddings` have 2"),
        (literal(blob(1, float("nan"))), "not a finite float32"),
        (literal(blob(1, float("inf"))), "not a finite float32"),
    ],
)
def test_a_query_that_is_no_vector(plain: Host, vector: str, reason: str) -> None:
    assert reason in plain.reason("blog", search(f"{vector}, 2"))


def test_unknown_names_and_names_in_other_case(plain: Host) -> None:
    assert "`nowhere`" in plain.reason(
        "blog", f"select faiss_search('nowhere', 'embeddings', {Q}, 1)"
    )
    assert "`nothing`" in plain.reason("blog", search(f"{Q}, 1", table="nothing"))
    assert plain.value("blog", f"select faiss_search('BLOG', 'Embeddings', {Q}, 1)") == "[1]"


def test_rows_that_cant_be_searched_are_skipped_and_counted(host, tmp_path: Path) -> None:
    nan, inf = blob(float("nan"), 0), blob(float("inf"), 0)
    bad = [None, b"\x01\x02\x03", blob(1, 2, 3), "text", nan, inf, b"", 7]
    rows = [*ROWS, *((10 + place, value) for place, value in enumerate(bad))]
    file = fill(tmp_path / "blog.db", "embeddings", rows, "INTEGER PRIMARY KEY")
    started = host(file, plugins=faiss(("blog", "embeddings")))
    sql = search(f"{Q}, 99", name="faiss_search")
    assert started.value("blog", sql) == "[1, 2, 3, 4]"
    started.settle()
    assert started.value("blog", sql) == "[1, 2, 3, 4]"
    (table,) = started.datasette._simdex.tables
    rows, skipped = table.open().live.rows()
    assert rows == 4
    assert dict(skipped) == {
        "NULL embedding": 1,
        "not a blob": 2,
        "length not a multiple of 4 bytes": 2,
        "NaN or infinite value": 2,
        "other number of dimensions": 1,
    }
    agg = f"select faiss_agg(id, embedding, {Q}, 99) from embeddings"
    assert started.value("blog", agg) == "[1, 2, 3, 4]"


def test_an_empty_table(host, tmp_path: Path) -> None:
    file = fill(tmp_path / "blog.db", "embeddings", [])
    started = host(file, plugins=faiss(("blog", "embeddings")))
    for _ in range(2):
        assert started.value("blog", search(f"{Q}, 3")) == "[]"
        started.settle()
    assert started.value("blog", f"select faiss_agg(id, embedding, {Q}, 3) from embeddings") is None


def test_a_missing_table_is_found_once_it_is_there(host, tmp_path: Path) -> None:
    file = fill(tmp_path / "blog.db", "other", [])
    started = host(file, plugins=faiss(("blog", "embeddings"), ("elsewhere", "embeddings")))
    started.settle()
    with pytest.raises(SqlError):
        started.value("blog", search(f"{Q}, 1"))
    fill(file, "embeddings", ROWS)
    assert started.value("blog", search(f"{Q}, 1")) == "[1]"


@pytest.mark.parametrize(
    "table", ['a "quoted" name', "with spaces", "with ]", "[both]", "it's", "ünï"]
)
def test_names_of_any_kind(host, tmp_path: Path, table: str) -> None:
    file = fill(tmp_path / "blog.db", table, ROWS)
    started = host(file, plugins=faiss(("blog", table)))
    for _ in range(2):
        # Datasette 0.65 itself has no page for a name with a bracket.
        sql = f"select faiss_search('blog', ?, {Q}, 2)"
        assert started.direct("blog", sql, table) == "[1, 2]"
        started.settle()


def test_ids_of_any_kind(host, tmp_path: Path) -> None:
    rows = [("b", blob(1)), ('a\n"é', blob(1)), (2.5, blob(2)), (None, blob(3)), (2.5, blob(4))]
    file = fill(tmp_path / "blog.db", "embeddings", rows)
    started = host(file, plugins=faiss(("blog", "embeddings")))
    for _ in range(2):
        found = started.value("blog", search(f"{literal(blob(0))}, 9"))
        assert found == '["b", "a\\n\\"\\u00e9", 2.5, null, 2.5]'
        started.settle()
    assert started.json(
        "blog", f"select faiss_agg(id, embedding, {literal(blob(0))}, 9) from embeddings"
    ) == [id for id, _ in rows]


def test_views(host, tmp_path: Path) -> None:
    file = fill(tmp_path / "blog.db", "stored", ROWS)
    db = sqlite3.connect(file)
    db.execute("CREATE VIEW embeddings AS SELECT id, embedding FROM stored WHERE id > 1")
    db.close()
    started = host(file, plugins=faiss(("blog", "embeddings")))
    for _ in range(2):
        assert started.value("blog", search(f"{Q}, 2")) == "[2, 3]"
        started.settle()


def test_aggregates_over_nothing_and_over_groups(plain: Host) -> None:
    none = f"select faiss_agg(id, embedding, {Q}, 2) from embeddings where 0"
    assert plain.value("blog", none) is None
    groups = f"select faiss_agg(id, embedding, {Q}, 2) from embeddings group by id % 2 order by 1"
    assert plain.rows("blog", groups) == [["[1, 3]"], ["[2, 4]"]]


def test_encode_and_decode(plain: Host) -> None:
    def value(sql: str) -> object:
        return plain.value("blog", f"select {sql}")

    for family in ("faiss", "simdex"):
        assert value(f"hex({family}_encode('[2.4, 4.1, 1.8]'))") == "9A991940333383406666E63F"
        decoded = "[2.4000000953674316, 4.099999904632568, 1.7999999523162842]"
        assert value(f"{family}_decode(x'9A991940333383406666E63F')") == decoded
        assert value(f"hex({family}_encode('[]'))") == ""
        assert value(f"hex({family}_encode('[1e39]'))") == "0000807F"
        assert value(f"{family}_encode(null)") is None
        assert value(f"{family}_decode(null)") is None
        assert value(f"{family}_decode(x'0000807F0000C07F')") == "[Infinity, NaN]"
        assert plain.reason("blog", f"select {family}_decode(x'0102')")
        for bad in ("'[1'", "'[\"a\"]'", "'3'", "'null'"):
            assert plain.reason("blog", f"select {family}_encode({bad})")


def test_huge_rows_have_a_distance(host, tmp_path: Path) -> None:
    file = fill(tmp_path / "blog.db", "embeddings", [(1, blob(3e38)), (2, blob(1))])
    started = host(file, plugins=faiss(("blog", "embeddings")))
    for _ in range(2):
        sql = search(f"{literal(blob(0))}, 9", name="faiss_search_with_scores")
        (near, far) = started.json("blog", sql)
        assert near == [2, 1.0]
        assert far[0] == 1 and 8.9e76 < far[1] < 9.1e76
        started.settle()
