"""Every search of llm's goes through `Collection.similar_by_vector`: this is simdex's."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm.embeddings import Collection, Entry

from simdex._llm import say

if TYPE_CHECKING:
    from simdex import Answer, Database


@dataclass(frozen=True)
class Wish:
    """What the options of `llm similar` ask for."""

    index: str | None = None
    exact: bool = False
    where: str | None = None

    def __bool__(self) -> bool:
        return self.exact or self.index is not None or self.where is not None


_wish: ContextVar[Wish] = ContextVar("simdex_wish", default=Wish())


@contextmanager
def wishing(wish: Wish) -> Iterator[None]:
    """Searches within it do as asked."""
    token = _wish.set(wish)
    try:
        yield
    finally:
        _wish.reset(token)


def install() -> None:
    """Put simdex before llm's own search; once."""
    original = Collection.similar_by_vector
    if hasattr(original, "without_simdex"):
        return

    @functools.wraps(original)
    def similar_by_vector(
        self: Collection,
        vector: list[float],
        number: int = 10,
        skip_id: str | None = None,
        prefix: str | None = None,
    ) -> list[Entry]:
        wish = _wish.get()
        try:
            found = _search(self, vector, number, skip_id, prefix, wish)
        except Exception as error:
            if wish or _is_the_callers(error):
                raise
            say(f"searching without simdex: {error}")
            found = None
        if found is not None:
            return found
        return original(self, vector, number, skip_id=skip_id, prefix=prefix)

    similar_by_vector.without_simdex = original  # type: ignore[attr-defined]
    Collection.similar_by_vector = similar_by_vector  # type: ignore[method-assign]


def uninstall() -> None:
    """Leave llm with its own search."""
    ours = Collection.similar_by_vector
    original = getattr(ours, "without_simdex", ours)
    Collection.similar_by_vector = original  # type: ignore[method-assign]


def _is_the_callers(error: Exception) -> bool:
    """Whether llm's own search could only give a wrong answer: a query of another size, say."""
    try:
        from simdex import InvalidError
    except ImportError:
        return False
    return isinstance(error, InvalidError)


def _search(
    collection: Collection,
    vector: list[float],
    number: int,
    skip_id: str | None,
    prefix: str | None,
    wish: Wish,
) -> list[Entry] | None:
    """The entries found; None where llm's own search is to answer."""
    connection = collection.db.conn
    # Rows that are not committed yet can only be seen through this very connection.
    if connection is None or connection.in_transaction:
        _refuse(wish, "rows are not committed yet")
        return None
    database = _database(connection)
    if database is None:
        _refuse(wish, "a database in memory has no indexes")
        return None
    if not wish and database.default_of(collection.name) is None:
        return None
    if number == 0:
        return []
    answer = database.similar(
        collection.name,
        vector=vector,
        # One more: the row that is left out is among the closest to its own vector.
        number=number + 1 if skip_id and number > 0 else number,
        index=wish.index,
        exact=wish.exact,
        where=wish.where,
        prefix=str(prefix) if prefix else None,
    )
    for notice in answer.notices:
        say(notice)
    # Ids are text in llm's table, whatever they are in the program.
    return _entries(answer, number, str(skip_id) if skip_id else None)


def _refuse(wish: Wish, reason: str) -> None:
    if wish:
        from simdex import InvalidError

        raise InvalidError(f"--index, --exact and --where can't be used here: {reason}")


def _database(connection: Any) -> Database | None:
    import simdex

    for _, name, path in connection.execute("PRAGMA database_list").fetchall():
        if name == "main" and path:
            return simdex.open(connection)
    return None


def _entries(answer: Answer, number: int, skip_id: str | None) -> list[Entry]:
    entries = [
        Entry(
            id=match.id,
            score=match.score,
            content=match.content,
            metadata=json.loads(match.metadata) if match.metadata else None,
        )
        for match in answer
        if not skip_id or match.id != skip_id
    ]
    return entries if number < 0 else entries[:number]
