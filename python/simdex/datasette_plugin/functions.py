"""The functions that the plugin adds to SQL."""

from __future__ import annotations

import functools
import itertools
import json
import os
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simdex import _native
from simdex.datasette_plugin.table import Found, Query, Table, scan

if TYPE_CHECKING:
    from simdex.datasette_plugin.registry import Registry

#: Long enough for SQLite to ask Datasette whether a statement's time is up.
TICKS = (
    "WITH RECURSIVE ticks(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ticks LIMIT 500)"
    " SELECT max(n) FROM ticks"
)

METRICS = ("l2", "cosine", "dot")

#: More than there can be rows.
MOST = 2**62


class Refused(Exception):
    """An argument can't be used, or a database not be read."""


def register(registry: Registry, connection: Any, database: str) -> None:
    """Adds the functions to a connection of Datasette's."""
    caller = Caller(registry, connection, database)

    def function(name: str, arguments: int, implementation: Callable[..., Any]) -> None:
        connection.create_function(name, arguments, caller.guarded(name, implementation))

    def aggregate(name: str, arguments: int, prepare: Any, finish: Any) -> None:
        report = functools.partial(caller.failed, name)
        new = functools.partial(_native.Aggregate, prepare, finish, report)
        connection.create_aggregate(name, arguments, new)

    function("faiss_search", 4, functools.partial(_faiss_search, caller, _ids))
    function("faiss_search_with_scores", 4, functools.partial(_faiss_search, caller, _pairs))
    function("faiss_encode", 1, _encode)
    function("faiss_decode", 1, _decode)
    aggregate("faiss_agg", 4, _prepare_faiss, _ids)
    aggregate("faiss_agg_with_scores", 4, _prepare_faiss, _pairs)
    function("simdex_encode", 1, _encode)
    function("simdex_decode", 1, _decode)
    for options in (0, 1):
        function("simdex_search", 4 + options, functools.partial(_simdex_search, caller))
        aggregate("simdex_agg", 4 + options, _prepare_simdex, _ids)
        aggregate("simdex_agg_with_scores", 4 + options, _prepare_simdex, _objects)


class Caller:
    """The connection whose SQL calls a function.

    It is not held here: the connection holds its functions, and neither would ever be freed.
    """

    def __init__(self, registry: Registry, connection: Any, database: str) -> None:
        self.registry = registry
        self.database = database
        self._number = next(_numbers)
        _connections.keep(self._number, connection)

    def connection(self) -> Any | None:
        return _connections.get(self._number)

    def guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose errors are told, and which ends a statement whose time is up."""

        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                connection = self.connection()
                if str(error) == "interrupted" and connection is not None:
                    # Datasette tells by SQLite's own error that a statement took too long.
                    connection.interrupt()
                    return None
                self.failed(name, error)
                raise

        return call

    def failed(self, name: str, error: BaseException) -> None:
        self.registry.failed(name, self.database, error)

    def alive(self) -> None:
        """Raises once the time of the statement that runs on the connection is up."""
        connection = self.connection()
        if connection is not None:
            connection.execute(TICKS).fetchall()

    def search(self, database: Any, table: Any, query: Query) -> Found:
        """Searches a table that this connection can read by itself."""
        if not isinstance(database, str) or not isinstance(table, str):
            raise Refused("database and table are named by text")
        metric = "l2" if query.scoring == "faiss" else query.scoring
        target = self.registry.database(database)
        schema = None if target is None else self.schema_of(target)
        if target is None or schema is None:
            raise Refused(f"there is no database `{database}` that this connection can read")
        found = self.registry.find(target.name, table, metric)
        if found is None:
            raise Refused(f"table `{table}` of `{target.name}` is not configured for searches")
        return self._search(found, schema, query)

    def _search(self, table: Table, schema: str, query: Query) -> Found:
        if table.is_file():
            return table.search(query, self.alive)
        return scan(self.connection(), schema, table.entry, query)

    def schema_of(self, target: Any) -> str | None:
        """What this connection calls a database; `None`: it can't read it."""
        connection = self.connection()
        if connection is None:
            # Called in another thread than it was prepared in: only what is sure is allowed.
            return "main" if target.name == self.database and target.path else None
        if target.name == self.database:
            return "main"
        if not target.path:
            return None
        for _, schema, path in connection.execute("PRAGMA database_list").fetchall():
            if path and _is_same_file(path, target.path):
                return str(schema)
        return None


class _Connections(threading.local):
    """The connections that were prepared in this thread."""

    def __init__(self) -> None:
        self._open: dict[int, Any] = {}

    def keep(self, number: int, connection: Any) -> None:
        for known, other in list(self._open.items()):
            if _is_closed(other):
                del self._open[known]
        self._open[number] = connection

    def get(self, number: int) -> Any | None:
        return self._open.get(number)


_connections = _Connections()
_numbers = itertools.count()


def _is_closed(connection: Any) -> bool:
    try:
        connection.total_changes  # noqa: B018
    except Exception:
        return True
    return False


def _is_same_file(a: str, b: str) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def _faiss_search(
    caller: Caller, shown: Callable[..., str], database: Any, table: Any, vector: Any, k: Any
) -> str | None:
    if vector is None:
        return None
    return shown(*caller.search(database, table, Query(_blob(vector), _count(k), "faiss")))


def _simdex_search(
    caller: Caller, database: Any, table: Any, vector: Any, k: Any, options: Any = None
) -> str | None:
    if vector is None:
        return None
    metric, only, without = _options(options, {"metric", "ids", "exclude"})
    query = Query(_vector(vector), _count(k), metric, only, without)
    return _objects(*caller.search(database, table, query))


def _prepare_faiss(vector: Any, k: Any, options: Any) -> tuple[bytes, int, str] | None:
    return None if vector is None else (_blob(vector), _count(k), "faiss")


def _prepare_simdex(vector: Any, k: Any, options: Any) -> tuple[bytes, int, str] | None:
    metric, _, _ = _options(options, {"metric"})
    return None if vector is None else (_vector(vector), _count(k), metric or "l2")


def _ids(ids: list[Any], scores: list[float]) -> str:
    return json.dumps(ids)


def _pairs(ids: list[Any], scores: list[float]) -> str:
    return json.dumps(list(zip(ids, scores)))


def _objects(ids: list[Any], scores: list[float]) -> str:
    return json.dumps([{"id": id, "score": score} for id, score in zip(ids, scores)])


def _encode(text: Any) -> bytes | None:
    if text is None:
        return None
    vector = json.loads(text)
    return struct.pack("f" * len(vector), *vector)


def _decode(blob: Any) -> str | None:
    if blob is None:
        return None
    return json.dumps(struct.unpack("f" * (len(blob) // 4), blob))


def _blob(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Refused(f"the vector is {_kind(value)}, not a blob; encode JSON with faiss_encode()")
    if not value or len(value) % 4:
        raise Refused(f"a blob of {len(value)} bytes is no vector: 4 bytes a value")
    return value


def _vector(value: Any) -> bytes:
    """A vector as a blob, or as JSON."""
    if not isinstance(value, str):
        return _blob(value)
    try:
        return _blob(_encode(value))
    except (ValueError, TypeError, struct.error) as error:
        raise Refused(
            f"the vector is neither a blob nor a JSON array of numbers: {error}"
        ) from error


def _count(k: Any) -> int:
    """How many results are asked for: a whole number, in whatever type SQL gives it."""
    try:
        number = float(k) if isinstance(k, str) else k
        if isinstance(number, (int, float)) and number == int(number) and number >= 0:
            return min(int(number), MOST)
    except (ValueError, OverflowError):
        pass
    raise Refused(f"k is {k!r}, not a whole number from 0")


def _options(options: Any, known: set[str]) -> tuple[str | None, list[Any] | None, list[Any]]:
    """Metric, ids that may be answers, and ids left out."""
    if options is None:
        return None, None, []
    try:
        given = json.loads(options)
    except (ValueError, TypeError) as error:
        raise Refused(f"the options are not JSON: {error}") from error
    if not isinstance(given, dict) or not set(given) <= known:
        raise Refused(f"options are a JSON object with some of {sorted(known)}")
    metric = given.get("metric")
    if metric is not None and metric not in METRICS:
        raise Refused(f"metric is l2, cosine or dot, not {metric!r}")
    only, without = given.get("ids"), given.get("exclude")
    for name, ids in (("ids", only), ("exclude", without)):
        if ids is not None and not isinstance(ids, list):
            raise Refused(f"{name} is an array of ids")
    return metric, only, without or []


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "a number"
