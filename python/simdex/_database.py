"""A database with embeddings, and its indexes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Union, overload

from simdex import _native
from simdex._connect import Connector, module_of

if TYPE_CHECKING:
    import sqlite3

Match = _native.Match

#: A vector: a blob of little-endian float32, a numpy array or other buffer of floats, or numbers.
Vector = Any

#: Called with (stage, done, total); total is None where it is not known.
Progress = Callable[[str, int, Union[int, None]], None]


class Table(NamedTuple):
    """A table or view as a source of an index."""

    name: str
    #: Its id column; by default `id`, else the primary key, else the rowid.
    id: str | None = None
    #: Its blob column; by default `embedding`.
    embedding: str | None = None
    #: An SQL condition that rows must meet.
    where: str | None = None


@dataclass(frozen=True)
class Answer(Sequence[Match]):
    """The rows found, closest first; a sequence of `Match`."""

    matches: list[Match]
    #: How they were found: `index`, `reason`, `rows`, `tail`, `diffed`.
    plan: dict[str, Any]
    #: What to know: damage mended, rows skipped, an index not built yet.
    notices: list[str] = field(default_factory=list)

    @overload
    def __getitem__(self, place: int) -> Match: ...
    @overload
    def __getitem__(self, place: slice) -> list[Match]: ...
    def __getitem__(self, place: int | slice) -> Match | list[Match]:
        return self.matches[place]

    def __len__(self) -> int:
        return len(self.matches)


class Database:
    """One SQLite database. Nothing is held open between calls, and nothing is ever written to it.

    Use it from any thread. Long calls end at Ctrl-C.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | sqlite3.Connection | Any,
        *,
        index_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        path, connector = _located(database)
        folder = os.environ.get("SIMDEX_INDEX_DIR") if index_dir is None else index_dir
        self._native = _native.Database(path, Path(folder) if folder else None, connector)

    def __repr__(self) -> str:
        return f"simdex.open({os.fspath(self.path)!r})"

    @property
    def path(self) -> Path:
        """Where the database is, symbolic links resolved."""
        return self._native.path

    def collections(self) -> list[dict[str, Any]]:
        """llm's collections, with their rows, dimensions, and rows that can't be searched.

        Looks at every row: 0.1 to 0.3 s for 100,000.
        """
        return self._native.collections()

    def indexes(self) -> list[dict[str, Any]]:
        """Every index, in the order in which they were defined."""
        return self._native.indexes()

    def index(self, name: str) -> dict[str, Any]:
        """One index: kind, metric, sources, and what is built of it. `NotFoundError`."""
        return self._native.index(name)

    def create_index(
        self,
        name: str,
        *sources: str | Table,
        kind: str | None = None,
        metric: str | None = None,
        options: Mapping[str, object] | None = None,
        default: bool | None = None,
        allow_models: bool = False,
        build: bool = True,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Define an index over collections (by name) or tables (`Table`), and build it.

        `metric` is `cosine` (higher is closer; the default for collections), `l2` (squared
        distance, lower is closer; the default for tables) or `dot`. It becomes the default of
        collections that have none, of all of them with `default=True`, of none with `False`.
        Raises `NotFoundError`, `InvalidError`, `AccessError`.
        """
        self._native.define(
            {
                "name": name,
                "collections": [source for source in sources if isinstance(source, str)],
                "tables": [tuple(source) for source in sources if not isinstance(source, str)],
                "kind": kind,
                "metric": metric,
                "options": {key: str(value) for key, value in (options or {}).items()},
                "default": default,
                "allow_models": allow_models,
            }
        )
        if build:
            try:
                self._native.build(name, progress)
            except BaseException:
                # A definition that can't be built is no use to anyone.
                self._native.drop_index(name)
                raise
        return self._native.index(name)

    def build(self, name: str, *, progress: Progress | None = None) -> dict[str, Any]:
        """Build an index anew; until it is done, searches use what was built before."""
        return self._native.build(name, progress)

    def refresh(self, name: str, *, progress: Progress | None = None) -> dict[str, Any]:
        """Take in rows that were added, changed or deleted; the cost follows their number.

        Searches never need it: they find rows newer than the index by themselves.
        """
        return self._native.refresh(name, progress)

    def verify(self, name: str, *, progress: Progress | None = None) -> dict[str, Any]:
        """Check every byte of an index and compare it with the database; see `problems`."""
        return self._native.verify(name, progress)

    def drop_index(self, name: str) -> list[str]:
        """Remove an index; the database stays as it is.

        Returns notices: of what an engine on another machine still keeps.
        """
        return self._native.drop_index(name)

    def set_default(self, name: str, *collections: str) -> list[str]:
        """Make an index the default of these collections, or of all that it covers."""
        return self._native.set_default(name, list(collections))

    def default_of(self, collection: str) -> str | None:
        """The default index of a collection; a fraction of a millisecond."""
        return self._native.default_of(collection)

    def clear_default(self, collection: str) -> str | None:
        """Leave a collection without a default; returns the index that was."""
        return self._native.clear_default(collection)

    def similar(
        self,
        collection: str,
        id: str | None = None,
        *,
        vector: Vector | None = None,
        number: int = 10,
        index: str | None = None,
        exact: bool = False,
        prefix: str | None = None,
        where: str | None = None,
        ids: str | None = None,
        attach: Mapping[str, str | os.PathLike[str]] | None = None,
        content: bool = True,
    ) -> Answer:
        """The rows of a collection that are closest to a row (by id) or to a vector.

        Goes through the collection's default index, or `index`; `exact=True` reads every row from
        the database. The answer is what the database holds at this moment. `prefix` is SQL LIKE,
        `where` an SQL condition on the columns of `embeddings`, `ids` a SELECT of ids, `attach`
        other databases for them. A negative `number` means every row. Raises `NotFoundError` for
        an unknown collection, id or index, `InvalidError` for a vector of another size.
        """
        return self._search(
            {
                "collection": collection,
                "index": index,
                "exact": exact,
                "id": id,
                "vector": vector,
                "source": None,
                "number": number,
                "prefix": prefix,
                "where": where,
                "ids": ids,
                "attach": _attached(attach),
                "content": content,
            }
        )

    def search(
        self,
        index: str,
        vector: Vector | None = None,
        *,
        id: str | None = None,
        source: str | None = None,
        number: int = 10,
        exact: bool = False,
        prefix: str | None = None,
        where: str | None = None,
        ids: str | None = None,
        attach: Mapping[str, str | os.PathLike[str]] | None = None,
        content: bool = True,
    ) -> Answer:
        """The rows of everything an index covers that are closest to a vector or a row.

        `source` says which collection or table holds the row `id`; otherwise as `similar`.
        """
        return self._search(
            {
                "collection": None,
                "index": index,
                "exact": exact,
                "id": id,
                "vector": vector,
                "source": source,
                "number": number,
                "prefix": prefix,
                "where": where,
                "ids": ids,
                "attach": _attached(attach),
                "content": content,
            }
        )

    def _search(self, query: dict[str, Any]) -> Answer:
        return Answer(*self._native.search(query))

    def model(self, collection: str | None = None, *, index: str | None = None) -> str | None:
        """The embedding model of a collection, or of what an index covers."""
        return self._native.model(collection, index)

    def compare(
        self,
        name: str,
        *,
        tries: Iterable[str | tuple[str, Mapping[str, object]]] = (),
        k: int = 10,
        queries: int | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Measure the indexes of a collection, and kinds tried on the fly, on its own rows.

        `tries` are kinds, or (kind, options). Nothing is written.
        """
        tried = [(given, {}) if isinstance(given, str) else given for given in tries]
        plain = [(kind, {key: str(v) for key, v in options.items()}) for kind, options in tried]
        contest = {"name": name, "tries": plain, "k": k, "queries": queries, "threads": threads}
        return self._native.compare(contest, progress)


def open(  # noqa: A001
    database: str | os.PathLike[str] | sqlite3.Connection | Any,
    *,
    index_dir: str | os.PathLike[str] | None = None,
) -> Database:
    """Open a database: a path, a `sqlite3.Connection`, or a `sqlite_utils.Database`.

    A connection only tells which file and which SQLite to use: rows are read through a connection
    of our own, so what yours has not committed yet is not seen. Indexes live in `index_dir`, by
    default `$SIMDEX_INDEX_DIR`, else beside the database. Raises `NotFoundError`.
    """
    return Database(database, index_dir=index_dir)


def _attached(attach: Mapping[str, str | os.PathLike[str]] | None) -> list[tuple[str, Path]]:
    return [(alias, Path(path)) for alias, path in (attach or {}).items()]


def _located(database: Any) -> tuple[Path, Connector]:
    if isinstance(database, (str, os.PathLike)):
        return Path(database), Connector()
    # A sqlite_utils.Database wraps its connection.
    connection = getattr(database, "conn", database)
    if not hasattr(connection, "execute"):
        kind = type(database).__name__
        raise TypeError(f"a database is a path or a connection, not {kind}")
    for _, name, path in connection.execute("PRAGMA database_list").fetchall():
        if name == "main" and path:
            return Path(path), Connector(module_of(connection))
    raise _native.InvalidError("a database in memory has no indexes: only files do")
