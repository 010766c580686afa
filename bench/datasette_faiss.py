"""The plugin for Datasette beside datasette-faiss, in one run: start, memory, search, aggregate.

    python bench/datasette_faiss.py --faiss VENV_A/bin/python --simdex VENV_B/bin/python

The first Python has datasette and datasette-faiss, the second datasette and simdex. Each is asked
in a process of its own, in turns. See bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AGGREGATED = 5_000


def child(file: str, searches: int) -> None:
    """Starts Datasette, asks, and prints what it took."""
    import asyncio

    started = float(sys.argv[3])
    # There is a simdex.py beside this file.
    sys.path.pop(0)
    from datasette.app import Datasette
    from datasette.version import __version__

    loaded = time.time()
    key = "metadata" if __version__.startswith("0.") else "config"
    tables = [["bench", "embeddings"]] if searches else []
    plugins = {"datasette-faiss": {"tables": tables}}
    datasette = Datasette(
        [file], settings={"sql_time_limit_ms": 60_000}, **{key: {"plugins": plugins}}
    )
    row = "(select embedding from embeddings where id = ?)"
    search = f"select faiss_search('bench', 'embeddings', {row}, 10)"
    aggregate = (
        f"select faiss_agg(id, embedding, {row}, 10) from embeddings where id <= {AGGREGATED}"
    )

    async def run() -> dict:
        await datasette.invoke_startup()
        database = datasette.get_database("bench")

        async def timed(sql: str, id: int) -> tuple[float, float, str]:
            def ask(conn: sqlite3.Connection) -> tuple[float, float, str]:
                begin, cpu = time.perf_counter(), time.process_time()
                answer = conn.execute(sql, [id]).fetchone()[0]
                return time.perf_counter() - begin, time.process_time() - cpu, answer

            return await database.execute_fn(ask)

        if not tables:
            now = time.time()
            ready = {"ready": now - started, "own": now - loaded}
            return {
                **ready,
                "peak": memory("VmHWM"),
                "held": memory("VmRSS"),
                "anon": memory("RssAnon"),
            }
        first = await timed(search, 1)
        now = time.time()
        ready = {"ready": now - started, "own": now - loaded}
        # A table that is built in the background is built by then.
        import threading

        for thread in threading.enumerate():
            if thread.name == "simdex":
                thread.join()
        ids = [1 + (7919 * number) % 40_000 for number in range(searches)]
        answers = [await timed(search, id) for id in ids]
        held, anon, peak = memory("VmRSS"), memory("RssAnon"), memory("VmHWM")
        aggregates = [await timed(aggregate, id) for id in ids[:7]]
        return {
            **ready,
            "held": held,
            "anon": anon,
            "peak": peak,
            "search": [statistics.median(column) for column in list(zip(*answers))[:2]],
            "aggregate": [statistics.median(column) for column in list(zip(*aggregates))[:2]],
            "answers": [answer for _, _, answer in [first, *answers, *aggregates]],
        }

    print(json.dumps(asyncio.run(run())))


def memory(what: str) -> int:
    """Bytes, from what Linux says of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    return 0


def make(file: Path, rows: int, dimensions: int) -> None:
    """A table of clustered vectors."""
    draw = random.Random(1)
    centres = [[draw.gauss(0, 1) for _ in range(dimensions)] for _ in range(200)]
    noise = [draw.gauss(0, 0.7) for _ in range(1 << 16)]
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE embeddings (id INTEGER PRIMARY KEY, embedding BLOB)")

    def vector() -> bytes:
        at = draw.randrange(len(noise) - dimensions)
        pairs = zip(draw.choice(centres), noise[at : at + dimensions])
        values = [centre + other for centre, other in pairs]
        length = sum(value * value for value in values) ** 0.5
        return struct.pack(f"<{dimensions}f", *(value / length for value in values))

    db.executemany(
        "INSERT INTO embeddings VALUES (?, ?)", ((id, vector()) for id in range(1, rows + 1))
    )
    db.commit()
    db.close()


def ask(python: str, file: Path, searches: int) -> dict:
    command = [python, __file__, "--child", str(file), str(time.time()), str(searches)]
    given = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(given.stdout)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--faiss", required=True, help="a Python with datasette-faiss")
    options.add_argument("--simdex", required=True, help="a Python with simdex")
    options.add_argument("--rows", type=int, default=50_000)
    options.add_argument("--dimensions", type=int, default=384)
    options.add_argument("--searches", type=int, default=40)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="simdex-bench-"))
    try:
        file = folder / "bench.db"
        make(file, given.rows, given.dimensions)
        turns: list[tuple[str, dict]] = []
        bare = ask(given.simdex, file, 0)
        for name, python in (
            ("datasette-faiss", given.faiss),
            ("simdex, first start", given.simdex),
            ("simdex, next start", given.simdex),
            ("datasette-faiss", given.faiss),
            ("simdex, next start", given.simdex),
        ):
            turns.append((name, ask(python, file, given.searches)))
    finally:
        shutil.rmtree(folder)
    print(f"{given.rows:,} rows of {given.dimensions} dimensions; {processor()}")
    report(bare, turns)


def report(bare: dict, turns: list[tuple[str, dict]]) -> None:
    def start(name: str, found: dict) -> str:
        times = f"{found['ready']:6.2f} s {found['own']:6.3f} s"
        return f"{name:20}{times}" + "".join(
            f"{found[key] / 1e6:7.0f} MB" for key in ("peak", "held", "anon")
        )

    heads = ("ready", "own part", "peak", "held", "of it own")
    print(f"{'':20}{heads[0]:>8} {heads[1]:>8}" + "".join(f"{head:>10}" for head in heads[2:]))
    print(start("no table", bare))
    for name, found in turns:
        print(start(name, found))
    print(f"\n{'':20} {'search':>9} {'processor':>11} {'aggregate':>11} {'processor':>11}")
    for name, found in turns:
        times = [seconds * 1e3 for key in ("search", "aggregate") for seconds in found[key]]
        print(f"{name:20}" + "".join(f"{time:8.2f} ms" for time in times))
    same = {json.dumps(found["answers"]) for _, found in turns}
    print("\nall answers are the same" if len(same) == 1 else "\nANSWERS DIFFER")


def processor() -> str:
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return (
        f"{names[0].partition(':')[2].strip()}, {len(names)} cores"
        if names
        else "unknown processor"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _, _, file, _, searches = sys.argv
        child(file, int(searches))
    else:
        main()
