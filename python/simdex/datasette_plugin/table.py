"""One configured table and its index."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from datasette.utils.sqlite import sqlite3

from simdex import _native
from simdex._connect import Connector
from simdex.datasette_plugin.config import Entry

if TYPE_CHECKING:
    from simdex.datasette_plugin.registry import Registry


class Query(NamedTuple):
    """A search, arguments checked."""

    vector: bytes
    k: int
    #: `faiss`, a metric, or `None` for the index's own.
    scoring: str | None
    only: list[Any] | None = None
    without: list[Any] = []  # noqa: RUF012


class Found(NamedTuple):
    ids: list[Any]
    scores: list[float]


class Table:
    """Searches a table through its index, which is built in the background."""

    def __init__(self, entry: Entry, index_dir: Path | None, registry: Registry) -> None:
        self.entry = entry
        self.key = (entry.database.lower(), entry.table.lower())
        self._index_dir = index_dir
        self._registry = registry
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        #: What is done in the background at the moment, for the dashboard.
        self.working_on: str | None = None
        #: Result of the last comparison of kinds, for the dashboard.
        self.comparison: dict[str, Any] | None = None

    def database(self) -> Any | None:
        return self._registry.database(self.entry.database)

    def is_file(self) -> bool:
        """Whether the rows are in a file; databases in memory have no index."""
        database = self.database()
        return database is not None and bool(database.path)

    @property
    def is_working(self) -> bool:
        """Whether a build or refresh runs."""
        return self.working_on is not None

    def open(self) -> Opened:
        """The index, defined if need be. Raises `SimdexError`."""
        database = self.database()
        if database is None or not database.path:
            raise _native.NotFoundError(f"there is no database file `{self.entry.database}`")
        with self._lock:
            if self._opened is None or self._opened.path != database.path:
                self._opened = Opened.of(database.path, self._index_dir, self.entry)
            return self._opened

    def search(self, query: Query, alive: Callable[[], None]) -> Found:
        """The rows closest to a vector as they are now. Raises `SimdexError`."""
        opened = self.open()
        try:
            ids, scores, is_built, is_worn, notices = opened.live.search(*query, alive)
        except _native.NotFoundError:
            # Somebody may have dropped the definition; if not, the error comes again.
            with self._lock:
                self._opened = None
            ids, scores, is_built, is_worn, notices = self.open().live.search(*query, alive)
        except sqlite3.OperationalError:
            # Time is up. The next search is faster if somebody else reads the rows meanwhile.
            self.prepare_in_background()
            raise
        if not is_built or is_worn:
            self.prepare_in_background()
        # Before the first build each answer would say that there is none.
        for notice in notices if is_built else []:
            self._registry.noticed("search", self.entry.database, notice)
        return Found(ids, scores)

    def prepare_in_background(self) -> None:
        """Builds what isn't built, and takes in what has changed."""
        self.work_in_background("building", lambda opened: opened.native.refresh)

    def rebuild_in_background(self) -> None:
        self.work_in_background("building", lambda opened: opened.native.build)

    def compare_in_background(self) -> None:
        """Measures every kind on the rows themselves."""
        self.work_in_background("comparing", lambda opened: self._compare)

    def _compare(self, name: str, progress: Callable[..., None]) -> None:
        native = self.open().native
        own = native.index(name)["kind"]
        tries: list[tuple[str, dict[str, str]]]
        tries = [(kind, {}) for kind in ("flat", "graph") if kind != own]
        contest = {"name": name, "tries": tries, "k": 10, "queries": None, "threads": None}
        self.comparison = native.compare(contest, progress)

    def work_in_background(self, what: str, choose: Callable[[Opened], Callable[..., Any]]) -> None:
        with self._lock:
            if self.working_on is not None:
                return
            self.working_on = what
        arguments = (what, choose)
        threading.Thread(target=self._work, args=arguments, name="simdex", daemon=False).start()

    def _work(self, what: str, choose: Callable[[Opened], Callable[..., Any]]) -> None:
        try:
            opened = self.open()
            choose(opened)(self.entry.index, _until_exit)
            opened.live.forget()
            opened.live.rows()
        except (Exception, KeyboardInterrupt) as error:
            if threading.main_thread().is_alive():
                self._registry.failed(what, self.entry.database, error)
        finally:
            self.working_on = None


class Opened(NamedTuple):
    """An index in use."""

    path: str
    native: Any
    live: Any

    @classmethod
    def of(cls, path: str, index_dir: Path | None, entry: Entry) -> Opened:
        native = _native.Database(Path(path), index_dir, Connector(sqlite3))
        _define(native, entry)
        return cls(path, native, _native.Live(native, entry.index))


def _define(native: Any, entry: Entry) -> None:
    """Defines the index; one of the same name for other columns is replaced."""
    try:
        if _is_as_wanted(native.index(entry.index), entry):
            return
        native.drop_index(entry.index)
    except _native.NotFoundError:
        pass
    native.define(
        {
            "name": entry.index,
            "collections": [],
            "tables": [(entry.table, entry.id, entry.embedding, entry.where)],
            "kind": entry.kind,
            "metric": entry.metric,
            "options": {},
            "default": False,
            "allow_models": False,
        }
    )


def _is_as_wanted(info: dict[str, Any], entry: Entry) -> bool:
    if len(info["sources"]) != 1:
        return False
    (source,) = info["sources"]
    id_column, embedding = source["columns"] or ("", "")
    return (
        source["store"] == "table"
        and source["name"] == entry.table
        and source["filter"] == entry.where
        and info["metric"] == entry.metric
        and info["kind"] == entry.kind
        and (entry.id is None or entry.id.lower() == id_column.lower())
        and (entry.embedding is None or entry.embedding.lower() == embedding.lower())
    )


def _until_exit(stage: str, done: int, total: int | None) -> None:
    """Stops a build that the process would otherwise wait for at its end."""
    if not threading.main_thread().is_alive():
        raise SystemExit


def scan(connection: Any, schema: str, entry: Entry, query: Query) -> Found:
    """Compares a vector with every row that a connection reads; for databases in memory."""
    sql = id_and_embedding(entry, schema)
    scoring = query.scoring or entry.metric
    prepared = (query.vector, query.k, scoring)
    nearest = _native.Aggregate(lambda *_: prepared, Found, lambda error: None)
    sizes: Counter[int] = Counter()
    for row in connection.execute(sql):
        id, embedding = row[0], row[1]
        if isinstance(embedding, bytes) and embedding and len(embedding) % 4 == 0:
            sizes[len(embedding)] += 1
        if (query.only is None or id in query.only) and id not in query.without:
            nearest.step(id, embedding, query.vector, query.k)
    if sizes:
        size = max(sizes, key=lambda size: (sizes[size], size))
        if size != len(query.vector):
            raise _native.InvalidError(
                f"the query has {len(query.vector) // 4} dimensions, "
                f"the rows of `{entry.table}` have {size // 4}"
            )
    return nearest.finalize() or Found([], [])


def id_and_embedding(entry: Entry, schema: str) -> str:
    """The SQL that reads a table; conditions may follow."""
    # With the table's name before it, a column that is missing is an error and not a text.
    table = _quote(entry.table)
    id, embedding = _quote(entry.id or "id"), _quote(entry.embedding or "embedding")
    where = entry.where or "1"
    columns = f"{table}.{id}, {table}.{embedding}"
    return f"SELECT {columns} FROM {_quote(schema)}.{table} WHERE (\n{where}\n)"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
