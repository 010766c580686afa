"""The page of rows that are similar to a row."""

from __future__ import annotations

from typing import Any, NamedTuple

from datasette.utils import sqlite_timelimit, tilde_decode, tilde_encode, urlsafe_components
from datasette.utils.asgi import NotFound, Response
from datasette.utils.sqlite import sqlite3

from simdex import _native
from simdex.datasette_plugin.functions import TICKS
from simdex.datasette_plugin.permissions import may_view, refuse
from simdex.datasette_plugin.registry import Registry
from simdex.datasette_plugin.table import Found, Query, Table, id_and_embedding, scan

#: Results, if not asked for otherwise, and the most that can be asked for.
NUMBER = 10
MOST = 200

#: Columns shown beside the score, and characters of each.
COLUMNS = 5
CHARACTERS = 160


class Place(NamedTuple):
    """A row: in the table of embeddings itself, or in the table that its ids refer to."""

    table: Table
    database: Any
    #: The table whose rows are shown.
    shown: str
    #: Its column that holds the ids.
    key: str


async def similar(datasette: Any, request: Any) -> Response:
    """`/DATABASE/TABLE/PK/-/similar` and `.json`."""
    registry = Registry.of(datasette)
    database = registry.database_of_route(request.url_vars["database"])
    table = tilde_decode(request.url_vars["table"])
    if database is None:
        raise NotFound("Database not found")
    # Before anything is looked up: a row that is missing from a private table is private too.
    refuse(await may_view(datasette, request.actor, database.name, table), "view this table")
    place = await _place(registry, database, table)
    if place is None:
        raise NotFound("The rows of this table have no embeddings to compare")
    embeddings = place.table.entry.table
    refuse(
        await may_view(datasette, request.actor, database.name, embeddings),
        "view the embeddings of this table",
    )
    keys = await database.primary_keys(place.shown) or ["rowid"]
    values = urlsafe_components(request.url_vars["pks"])
    number = _number(request.args.get("_size"))
    if len(values) != len(keys):
        raise NotFound("Row not found")
    limit = datasette.sql_time_limit_ms

    def look(conn: Any) -> tuple[list[dict[str, Any]], str | None]:
        with sqlite_timelimit(conn, limit):
            found, problem = _similar_to(conn, place, keys, values, number)
            return [_described(conn, datasette, place, keys, row) for row in zip(*found)], problem

    try:
        rows, problem = await database.execute_fn(look)
    except sqlite3.OperationalError as error:
        if str(error) != "interrupted":
            raise
        rows, problem = [], "It took longer than this Datasette allows. Try again in a moment."
    row_path = "/".join([datasette.urls.table(database.name, place.shown), request.url_vars["pks"]])
    if request.url_vars.get("format") == "json":
        answer = {
            "ok": problem is None,
            "database": database.name,
            "table": place.shown,
            "pks": values,
            "metric": place.table.entry.metric,
            "rows": [{key: row[key] for key in ("id", "score", "href", "columns")} for row in rows],
        }
        if problem is not None:
            answer["error"] = problem
        return Response.json(answer, status=200 if problem is None else 400)
    context = {
        "database": database.name,
        "table": place.shown,
        "name": ", ".join(values),
        "row_path": row_path,
        "json_path": datasette.urls.path(f"{_path_of(request)}.json"),
        "metric": _METRICS[place.table.entry.metric],
        "columns": list(dict.fromkeys(column for row in rows for column in row["columns"])),
        "rows": rows,
        "problem": problem,
    }
    return Response.html(await datasette.render_template("simdex_similar.html", context, request))


#: What a score means, for people.
_METRICS = {
    "l2": ("Distance", "lower is closer"),
    "cosine": ("Similarity", "higher is closer"),
    "dot": ("Product", "higher is closer"),
}


async def path_of_similar(datasette: Any, database: str, table: str, pks: str) -> str | None:
    """Where the rows similar to a row are; `None`: they can't be compared."""
    registry = Registry.of(datasette)
    found = registry.database(database)
    if found is None or await _place(registry, found, table) is None:
        return None
    return f"{datasette.urls.table(database, table)}/{pks}/-/similar"


async def _place(registry: Registry, database: Any, table: str) -> Place | None:
    own = registry.find(database.name, table, None)
    if own is not None:
        return Place(own, database, own.entry.table, own.entry.id or "id")
    for other in registry.tables:
        theirs = other.database()
        if theirs is None or theirs is not database:
            continue
        for key in await theirs.foreign_keys_for_table(other.entry.table):
            to_this = key["other_table"].lower() == table.lower()
            if to_this and key["column"].lower() == (other.entry.id or "id").lower():
                return Place(other, database, key["other_table"], key["other_column"])
    return None


def _number(size: str | None) -> int:
    try:
        return max(1, min(int(size or NUMBER), MOST))
    except ValueError:
        return NUMBER


def _similar_to(
    conn: Any, place: Place, keys: list[str], values: list[str], number: int
) -> tuple[Found, str | None]:
    """The rows most similar to a row, or why there are none."""
    where = " AND ".join(f"{_quote_key(key)} = ?" for key in keys)
    key = f"{_quote(place.shown)}.{_quote(place.key)}"
    ids = conn.execute(f"SELECT {key} FROM {_quote(place.shown)} WHERE {where}", values).fetchone()
    if ids is None:
        raise NotFound("Row not found")
    entry = place.table.entry
    own_key = f"{_quote(entry.table)}.{_quote(entry.id or 'id')}"
    sql = f"{id_and_embedding(entry, 'main')} AND {own_key} IS ?"
    row = conn.execute(sql, [ids[0]]).fetchone()
    if row is None or not isinstance(row[1], bytes):
        return Found([], []), "This row has no embedding."
    query = Query(row[1], number, None, None, [row[0]])
    try:
        if place.table.is_file():
            return place.table.search(query, lambda: conn.execute(TICKS).fetchall()), None
        return scan(conn, "main", entry, query), None
    except (_native.SimdexError, ValueError) as error:
        return Found([], []), str(error)


def _described(
    conn: Any, datasette: Any, place: Place, keys: list[str], found: tuple[Any, float]
) -> dict[str, Any]:
    """A result with what is to be seen of its row."""
    id, score = found
    shown = _quote(place.shown)
    chosen = ", ".join(f"{shown}.{_quote_key(key)}" for key in keys)
    sql = f"SELECT {chosen}, {shown}.* FROM {shown} WHERE {shown}.{_quote(place.key)} IS ? LIMIT 1"
    cursor = conn.execute(sql, [id])
    row = cursor.fetchone()
    described: dict[str, Any] = {"id": id, "score": score, "href": None, "columns": {}}
    if row is None:
        return described
    path = ",".join(tilde_encode(str(value)) for value in tuple(row)[: len(keys)])
    described["href"] = f"{datasette.urls.table(place.database.name, place.shown)}/{path}"
    names = [column[0] for column in cursor.description]
    for name, value in list(zip(names, tuple(row)))[len(keys) :]:
        plain = value is not None and not isinstance(value, bytes)
        if plain and name != place.key and len(described["columns"]) < COLUMNS:
            described["columns"][name] = _short(value)
    return described


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > CHARACTERS:
        return value[: CHARACTERS - 1] + "…"
    return value


def _path_of(request: Any) -> str:
    variables = request.url_vars
    return "/{database}/{table}/{pks}/-/similar".format(**variables)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quote_key(key: str) -> str:
    # In double quotes SQLite would take a rowid for a text where there is none.
    return "rowid" if key == "rowid" else _quote(key)
