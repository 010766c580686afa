"""A refresh after `llm embed` and `llm embed-multi`, where it costs little.

Searches find new rows without it; it keeps them from having to compare many rows one by one.
"""

from __future__ import annotations

import functools
from typing import Any

import click

from simdex._llm import say
from simdex._llm.options import database_path

# Bytes of vectors that are read again in a few tenths of a second.
CHEAP = 256 << 20

# Kinds that are rebuilt in about a second, should so much have changed.
KINDS = {"flat", "auto"}


def follow(cli: click.Group) -> None:
    """Refresh the indexes of a collection once a command has stored rows in it."""
    for name in ("embed", "embed-multi"):
        command = cli.commands[name]
        if command.callback is not None:
            command.callback = _followed(command.callback)


def _followed(original: Any) -> Any:
    @functools.wraps(original)
    def callback(*args: Any, **kwargs: Any) -> Any:
        done = original(*args, **kwargs)
        collection = kwargs.get("collection")
        if collection:
            try:
                _refresh(collection, kwargs.get("database"))
            except Exception as error:  # the rows are stored: that is what was asked for
                say(f"the indexes of `{collection}` will be refreshed by the next search: {error}")
        return done

    return callback


def _refresh(collection: str, database: str | None) -> None:
    path = database_path(database)
    # What is not there costs nothing to look for; only then is the engine loaded.
    if not path.exists():
        return
    import simdex

    db = simdex.open(path)
    if db.default_of(collection) is None:
        return
    for index in db.indexes():
        state = index["state"]
        sources = {source["name"] for source in index["sources"] if source["model"] is not None}
        if state["state"] != "built" or collection not in sources:
            continue
        if state["rows"] * state["dimensions"] * 4 <= CHEAP and index["kind"] in KINDS:
            db.refresh(index["name"])
