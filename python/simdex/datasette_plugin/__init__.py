"""A plugin for Datasette: similarity search in SQL and on pages; replaces datasette-faiss."""

from __future__ import annotations

from typing import Any

from datasette import hookimpl

from simdex.datasette_plugin.functions import register
from simdex.datasette_plugin.registry import Registry


@hookimpl
def startup(datasette: Any) -> None:
    Registry.of(datasette).prepare_in_background()


# Last, so that these functions win where datasette-faiss is installed too.
@hookimpl(trylast=True)
def prepare_connection(conn: Any, database: str, datasette: Any) -> None:
    register(Registry.of(datasette), conn, database)
