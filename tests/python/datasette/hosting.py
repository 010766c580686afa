"""A Datasette of whichever version is installed, with this plugin, on databases made here."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette
from datasette.version import __version__

IS_1 = not __version__.startswith("0.")


def blob(*values: float) -> bytes:
    """A vector as datasette-faiss stores it."""
    return struct.pack(f"<{len(values)}f", *values)


def literal(vector: bytes) -> str:
    return f"x'{vector.hex()}'"


def faiss(*tables: tuple[str, str]) -> dict[str, Any]:
    """The configuration that datasette-faiss reads."""
    return {"datasette-faiss": {"tables": [list(table) for table in tables]}}


def fill(path: Path, table: str, rows: Iterable[tuple[Any, Any]], id_type: str = "") -> Path:
    """A table with `id` and `embedding`, and these rows."""
    quoted = '"' + table.replace('"', '""') + '"'
    db = sqlite3.connect(path)
    db.execute(f"CREATE TABLE {quoted} (id {id_type}, embedding)")
    db.executemany(f"INSERT INTO {quoted} VALUES (?, ?)", rows)
    db.commit()
    db.close()
    return path


class SqlError(Exception):
    """What Datasette says of a statement that failed."""


class Host:
    """A running Datasette; `wait` runs what is asynchronous."""

    def __init__(
        self,
        files: Iterable[Path] = (),
        plugins: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        config = {**(config or {}), "plugins": plugins or {}}
        options["config" if IS_1 else "metadata"] = config
        self.loop = asyncio.new_event_loop()
        self.datasette = Datasette([str(file) for file in files], **options)
        self.datasette.root_enabled = True
        self.wait(self.datasette.invoke_startup())

    def wait(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def settle(self) -> None:
        """Waits until nothing is built in the background any more."""
        for thread in threading.enumerate():
            if thread.name == "simdex":
                thread.join()

    def close(self) -> None:
        self.settle()
        if self.datasette.executor is not None:
            self.datasette.executor.shutdown()
        self.loop.close()

    def get(self, path: str, actor: str | None = None, **options: Any) -> Any:
        return self.request("get", path, actor, **options)

    def request(self, method: str, path: str, actor: str | None = None, **options: Any) -> Any:
        if actor is not None:
            cookie = self.datasette.sign({"a": {"id": actor}}, "actor")
            options.setdefault("cookies", {})["ds_actor"] = cookie
        return self.wait(getattr(self.datasette.client, method)(path, **options))

    def rows(self, database: str, sql: str, actor: str | None = None, **params: Any) -> list[Any]:
        path = f"/{database}/-/query.json" if IS_1 else f"/{database}.json"
        response = self.get(path, actor, params={"sql": sql, "_shape": "arrays", **params})
        answer = response.json()
        if not answer.get("ok", True) or answer.get("error"):
            raise SqlError(answer.get("error") or answer)
        return answer["rows"]

    def direct(self, database: str, sql: str, *params: Any) -> Any:
        """One value, on Datasette's own connection but not over HTTP."""
        run = lambda conn: conn.execute(sql, params).fetchone()[0]  # noqa: E731
        return self.wait(self.datasette.get_database(database).execute_fn(run))

    def value(self, database: str, sql: str, actor: str | None = None, **params: Any) -> Any:
        ((value,),) = self.rows(database, sql, actor, **params)
        return value

    def json(self, database: str, sql: str, actor: str | None = None, **params: Any) -> Any:
        return json.loads(self.value(database, sql, actor, **params))

    def reason(self, database: str, sql: str, **params: Any) -> str:
        """Runs SQL that must fail in a function of ours, and tells the reason that was kept."""
        before = len(self.datasette._simdex.errors)
        with pytest.raises(SqlError):
            self.rows(database, sql, **params)
        errors = self.datasette._simdex.errors
        assert len(errors) == before + 1, "the error was not kept"
        return errors[-1].message
