"""Records what the real datasette-faiss answers; writes recorded.json.

Run it by hand where datasette 0.65, datasette-faiss 0.2.1 and faiss-cpu 1.15.1 are installed, and
this plugin is not.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

MORE = [
    "select faiss_search('blog', 'embeddings', :q, 7)",
    "select faiss_search_with_scores('blog', 'embeddings', :q, 7)",
    "select faiss_agg(id, embedding, :q, 7) from embeddings",
    "select faiss_agg_with_scores(id, embedding, :q, 7) from embeddings",
]


def cases() -> list[dict]:
    made = []
    for dim in (1, 3, 5, 12, 16, 23, 40, 387):
        draw = random.Random(dim)
        vector = lambda: struct.pack(f"{dim}f", *(draw.gauss(0, 1) for _ in range(dim)))
        rows = [(place, vector().hex()) for place in range(20 if dim < 99 else 9)]
        made.append({"name": f"{dim} dimensions", "rows": rows, "query": vector().hex()})
    draw = random.Random(0)
    vector = lambda: struct.pack("3f", *(draw.randint(-1, 1) for _ in range(3)))
    rows = [(f"row {place}", vector().hex()) for place in range(60)]
    made.append({"name": "ties", "rows": rows, "query": vector().hex()})
    return [{**case, "more": MORE} for case in made]


async def answers(case: dict) -> list[str]:
    from datasette.app import Datasette

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "blog.db"
        db = sqlite3.connect(file)
        db.execute("CREATE TABLE embeddings (id, embedding)")
        rows = [(id, bytes.fromhex(vector)) for id, vector in case["rows"]]
        db.executemany("INSERT INTO embeddings VALUES (?, ?)", rows)
        db.commit()
        plugins = {"datasette-faiss": {"tables": [["blog", "embeddings"]]}}
        datasette = Datasette([str(file)], metadata={"plugins": plugins})
        await datasette.invoke_startup()
        found = []
        for sql in case["more"]:
            sql = sql.replace(":q", f"x'{case['query']}'")
            response = await datasette.client.get(
                "/blog.json", params={"sql": sql, "_shape": "arrays"}
            )
            found.append(response.json()["rows"][0][0])
        return found


def main() -> None:
    if "--answers" in sys.argv:
        print(json.dumps([asyncio.run(answers(case)) for case in cases()]))
        return
    recorded = [{**case, "expected": {}} for case in cases()]
    for level in ("AVX512", "AVX2", "NONE"):
        environment = {**os.environ, "FAISS_SIMD_LEVEL": level, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--answers"]
        given = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        for case, expected in zip(recorded, json.loads(given.stdout)):
            case["expected"][level] = expected
    target = Path(__file__).parent / "recorded.json"
    target.write_text(
        json.dumps({"from": "datasette-faiss 0.2.1, faiss-cpu 1.15.1", "cases": recorded}, indent=1)
        + "\n"
    )


if __name__ == "__main__":
    main()
