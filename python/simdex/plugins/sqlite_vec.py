"""``sqlite-vec``: a vec0 table in a SQLite file of its own. Exact.

Through apsw: the sqlite3 module of many Pythons can't load extensions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

import numpy as np

from simdex.plugin import Integer, Plugin, Settings, serve

#: The most that a vec0 table returns.
MOST = 4096


class SqliteVec(Plugin):
    name = "sqlite-vec"
    requires = ("sqlite-vec", "apsw")
    about = "exact: a vec0 table in a SQLite file of its own"
    metrics = ["cosine", "l2"]
    exact = True
    options = [Integer("chunk_size", 1024, "rows of a chunk; a multiple of 8", minimum=8)]

    def _connect(self) -> None:
        import apsw
        import sqlite_vec

        # A copy in memory: a search must not change the file, and a change is saved as a whole.
        self.db = apsw.Connection(":memory:")
        self.db.enable_load_extension(True)
        self.db.load_extension(sqlite_vec.loadable_path())
        self.db.enable_load_extension(False)

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        if settings["chunk_size"] % 8:
            raise ValueError("chunk_size is not a multiple of 8")
        self._connect()
        # Cosine comes as vectors of length 1, for which l2 has the same order.
        self.db.execute(
            f"create virtual table rows using vec0(row integer primary key, "
            f"embedding float[{settings.dimensions}], chunk_size={settings['chunk_size']})"
        )
        self.add(np.arange(len(vectors)), vectors)

    def __len__(self) -> int:
        return int(self.db.execute("select count(*) from rows").get)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        sql = "select row from rows where embedding match ? and k = ? order by distance"
        for query in queries:
            yield [row for (row,) in self.db.execute(sql, (query.tobytes(), min(k, MOST)))]

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        pairs = zip(rows.tolist(), vectors)
        with self.db:
            self.db.executemany(
                "insert into rows (row, embedding) values (?, ?)",
                ((row, vector.tobytes()) for row, vector in pairs),
            )

    def remove(self, rows: np.ndarray) -> None:
        with self.db:
            self.db.executemany("delete from rows where row = ?", ((row,) for row in rows.tolist()))

    def save(self, folder: Path) -> None:
        import apsw

        kept = apsw.Connection(str(folder / "rows.db"))
        _copy(self.db, kept)
        kept.close()

    def load(self, folder: Path, settings: Settings) -> None:
        import apsw

        self._connect()
        kept = apsw.Connection(str(folder / "rows.db"), flags=apsw.SQLITE_OPEN_READONLY)
        _copy(kept, self.db)
        kept.close()


def _copy(source: Any, target: Any) -> None:
    with target.backup("main", source, "main") as backup:
        backup.step()


def main() -> None:
    serve(SqliteVec())


if __name__ == "__main__":
    main()
