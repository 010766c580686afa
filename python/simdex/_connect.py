"""Connections for the engine, through Python's own SQLite.

One process must never hold two copies of SQLite on one file: the second one drops the first one's
locks as it closes the file. So inside Python rows are read through the very module that the host
uses, and never through the SQLite that is compiled into the engine.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

# How long to wait for a writer that holds the database exclusively, in seconds.
BUSY_TIMEOUT = 30.0

FIRST_READ = "SELECT 1 FROM sqlite_schema LIMIT 1"

SQLITE_OK = 0
SQLITE_DENY = 1
# Action codes of SQLite's authorizer; Python 3.10 does not name all of them.
SQLITE_PRAGMA = 19
SQLITE_READ = 20
SQLITE_SELECT = 21
SQLITE_TRANSACTION = 22
SQLITE_FUNCTION = 31
SQLITE_RECURSIVE = 33
SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE = 1006
SQLITE_DBCONFIG_TRUSTED_SCHEMA = 1017


class Connector:
    """Opens connections that can only read. `module` is `sqlite3`, or what stands in for it."""

    def __init__(self, module: ModuleType = sqlite3) -> None:
        self._module = module

    def __call__(self, path: Path) -> tuple[Connection, bool]:
        """A connection, and whether the file was opened under the promise that nobody writes."""
        # A read-only connection to a database in WAL mode would leave files behind, so it is only
        # the second choice; but where there is a log with rows, the last connection to close copies
        # them into the database, and before Python 3.12 only a read-only one can be kept from that.
        can_be_told = hasattr(self._module.Connection, "setconfig")
        try:
            if _has(path, "-wal") and not can_be_told:
                return self._open(path, "mode=ro"), False
            return self._open(path, "mode=rw"), False
        except self._module.Error as error:
            if not _can_be_mended(error) and not _has(path, "-journal"):
                raise
        try:
            return self._open(path, "mode=ro"), False
        except self._module.Error:
            # On read-only media a database in WAL mode can only be read as immutable. That is right
            # as long as no log or journal holds rows of its own.
            if _has(path, "-wal") or _has(path, "-journal"):
                raise
        return self._open(path, "immutable=1"), True

    def _open(self, path: Path, mode: str) -> Connection:
        connection = self._module.connect(
            f"file:{quote(os.fsencode(path))}?{mode}",
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.text_factory = _text
            connection.execute("PRAGMA query_only = 1")
            connection.execute("PRAGMA trusted_schema = 0")
            connection.execute(FIRST_READ).fetchall()
            # Older versions of SQLite ask the authorizer for writes as they declare this table.
            connection.execute("SELECT 1 FROM pragma_table_info('')").fetchall()
            if hasattr(connection, "setconfig") and _has(path, "-wal"):
                connection.setconfig(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            connection.set_authorizer(_only_reads)
        except BaseException:
            connection.close()
            raise
        return Connection(connection)


class Connection:
    """What the engine calls; `attach` needs the authorizer out of the way for a moment."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.execute = connection.execute
        self.interrupt = connection.interrupt
        self.close = connection.close

    def attach(self, alias: str, path: Path) -> None:
        name = '"' + alias.replace('"', '""') + '"'
        self._connection.set_authorizer(None)
        try:
            self._connection.execute(f"ATTACH ? AS {name}", [os.fspath(path)])
            self._connection.execute(f"SELECT count(*) FROM {name}.sqlite_schema").fetchall()
        finally:
            self._connection.set_authorizer(_only_reads)


def module_of(connection: object) -> ModuleType:
    """The module that a connection comes from: `sqlite3`, `pysqlite3`, `sqlean`, …"""
    import sys

    for cls in type(connection).__mro__:
        name = cls.__module__.partition(".")[0]
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "connect") and hasattr(module, "Error"):
            return module
    return sqlite3


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _can_be_mended(error: Exception) -> bool:
    """Whether SQLite failed because it could not write files beside the database."""
    message = str(error)
    return "unable to open" in message or "readonly" in message


def _has(path: Path, suffix: str) -> bool:
    try:
        return os.stat(os.fspath(path) + suffix).st_size > 0
    except OSError:
        return False


def _only_reads(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    if action in (SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE, SQLITE_TRANSACTION):
        return SQLITE_OK
    if action == SQLITE_FUNCTION:
        return SQLITE_DENY if second == "load_extension" else SQLITE_OK
    if action == SQLITE_PRAGMA and first in ("table_info", "data_version"):
        return SQLITE_OK
    return SQLITE_DENY
