"""Cost against the number of rows: simdex's graph over 10,000 to 1,000,000 synthetic rows.

Rows and queries of every size are drawn from one curved surface, so that more rows lie more densely.
Every size is built and searched by a process of its own.
"""

import argparse
import datetime
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.random import Generator

import data
import frontier
import machine
import simdex

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
# Of the surface, of what it is bent in, and of a row.
SURFACE, BENT, DIM = 16, 128, 384
QUERIES = 1000
# Rows made at a time.
BLOCK = 50_000
# Okabe and Ito's blue and vermilion; a grey with a contrast of about 4.5 to white and near-black.
BLUE, VERMILION, INK = "#0072B2", "#D55E00", "#767676"


class Surface:
    """A random smooth map of few dimensions into many."""

    def __init__(self, random: Generator) -> None:
        scale = np.float32(1 / np.sqrt(SURFACE))
        self.bend = random.standard_normal((SURFACE, BENT), dtype=np.float32) * scale
        self.spread = random.standard_normal((BENT, DIM), dtype=np.float32)

    def draw(self, random: Generator, rows: int) -> data.Vectors:
        vectors = np.empty((rows, DIM), dtype=np.float32)
        for start in range(0, rows, BLOCK):
            part = vectors[start : start + BLOCK]
            place = random.standard_normal((len(part), SURFACE), dtype=np.float32)
            part[:] = np.tanh(2 * (place @ self.bend)) @ self.spread
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        return vectors


def measure(rows: int, recall: float, build_threads: int, folder: Path) -> dict[str, Any]:
    random = np.random.default_rng(1)
    surface = Surface(random)
    np.save(folder / "queries.npy", surface.draw(random, QUERIES))
    np.save(folder / "base.npy", surface.draw(random, rows))
    files = ["--vectors", folder / "base.npy", "--queries", folder / "queries.npy"]
    threads = ["--threads", "1", "--build-threads", str(build_threads)]
    command = [simdex.program(), "compare", *files, *threads, "--kind", "graph", "--json"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    points = json.loads(said.stdout)["points"]
    curve = [(point["recall"], point["batch_queries_per_second"]) for point in points]
    speed = frontier.speed_at(curve, recall)
    if speed is None:
        raise SystemExit(f"recall {recall} was not reached over {rows:,} rows: {curve}")
    kept = {name: points[0][name] for name in ("build_seconds", "bytes")}
    return {"rows": rows, **kept, "seconds_a_query": 1 / speed, "curve": sorted(curve)}


def slope(figures: list[dict[str, Any]], cost: str) -> float:
    """The exponent of a power law through the first and the last size."""
    first, last = figures[0], figures[-1]
    return math.log(last[cost] / first[cost]) / math.log(last["rows"] / first["rows"])


def draw(found: dict[str, Any], path: Path) -> None:
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "simdex", "font.size": 10})
    figure, (search, build) = plt.subplots(1, 2, figsize=(10, 4))
    figures = found["figures"]
    rows = np.array([entry["rows"] for entry in figures], dtype=float)
    micros = [1e6 * entry["seconds_a_query"] for entry in figures]
    search.plot(rows, micros, "o-", color=VERMILION, label="measured")
    search.plot(rows, micros[0] * np.log(rows) / np.log(rows[0]), "--", color=BLUE, label="log n")
    search.set_ylabel(f"µs a query at recall@10 {found['recall']}", color=INK)
    search.set_ylim(bottom=0)
    build.plot(rows, [entry["build_seconds"] for entry in figures], "o-", color=VERMILION, label="measured")
    nlogn = rows * np.log(rows) / (rows[0] * np.log(rows[0])) * figures[0]["build_seconds"]
    build.plot(rows, nlogn, "--", color=BLUE, label="n log n")
    build.set_yscale("log")
    build.set_ylabel(f"seconds to build, {found['build_threads']} threads", color=INK)
    for axes in (search, build):
        axes.set_xscale("log")
        axes.set_xlabel("rows", color=INK)
        axes.grid(color=INK, alpha=0.25, which="both", linewidth=0.5)
        axes.tick_params(colors=INK, which="both")
        axes.spines[:].set_color(INK)
        plt.setp(axes.legend(frameon=False).get_texts(), color=INK)
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of rows")
    parser.add_argument("--recall", type=float, default=0.95, help="where searches are timed (0.95)")
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file; the plot goes beside it")
    given = parser.parse_args()
    figures = []
    for rows in sorted(given.sizes):
        print(f"{rows:,} rows …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            figures.append(measure(rows, given.recall, given.build_threads, Path(folder)))
        print(json.dumps(figures[-1]), flush=True)
    found = {
        "date": datetime.date.today().isoformat(),
        "machine": machine.described(),
        "simdex": simdex.version(),
        "data": f"a surface of {SURFACE} dimensions in {DIM}",
        "recall": given.recall,
        "build_threads": given.build_threads,
        "figures": figures,
    }
    print(f"search grows like n^{slope(figures, 'seconds_a_query'):.2f}")
    print(f"build grows like n^{slope(figures, 'build_seconds'):.2f}")
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, given.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
