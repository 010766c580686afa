"""``sqlite-vss``: a vss0 table, which is a flat FAISS index in a SQLite file of its own. Exact.

Through apsw: the sqlite3 module of many Pythons can't load extensions. On Linux the extension needs
the system's BLAS and LAPACK (Debian: libblas3, liblapack3). Its authors have left it for sqlite-vec.
Other factories than the default are not offered: of those that train, deletes lost rows when tried.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

import numpy as np

from simdex.plugin import Plugin, Settings, serve


class SqliteVss(Plugin):
    name = "sqlite-vss"
    requires = ("sqlite-vss", "apsw")
    about = "exact: a vss0 table (FAISS) in a SQLite file of its own; needs the system's BLAS"
    exact = True

    def _connect(self) -> None:
        import apsw
        import sqlite_vss

        # A copy in memory: a search must not change the file, and a change is saved as a whole.
        self.db = apsw.Connection(":memory:")
        self.db.enable_load_extension(True)
        try:
            self.db.load_extension(sqlite_vss.vector_loadable_path())
            self.db.load_extension(sqlite_vss.vss_loadable_path())
        except apsw.ExtensionLoadingError as error:
            raise OSError(f"{error}; on Debian: apt-get install libblas3 liblapack3") from None
        self.db.enable_load_extension(False)

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self._connect()
        # Cosine comes as vectors of length 1, for which the inner product has the same order.
        metric = "L2" if settings.metric == "l2" else "INNER_PRODUCT"
        self.db.execute(
            f"create virtual table rows using vss0("
            f'embedding({settings.dimensions}) factory="Flat,IDMap2" metric_type={metric})'
        )
        self.add(np.arange(len(vectors)), vectors)

    def __len__(self) -> int:
        return int(self.db.execute("select count(*) from rows").get)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        sql = "select rowid from rows where vss_search(embedding, vss_search_params(?, ?))"
        for query in queries:
            yield [row for (row,) in self.db.execute(sql, (query.tobytes(), k))]

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        pairs = zip(rows.tolist(), vectors)
        with self.db:
            self.db.executemany(
                "insert into rows (rowid, embedding) values (?, ?)",
                ((row, vector.tobytes()) for row, vector in pairs),
            )

    def remove(self, rows: np.ndarray) -> None:
        with self.db:
            gone = ((row,) for row in rows.tolist())
            self.db.executemany("delete from rows where rowid = ?", gone)

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
    serve(SqliteVss())


if __name__ == "__main__":
    main()
