"""Runs simdex and its peers, one process after another, on the same vectors and threads.

Prints one table and draws one plot; what is measured goes into a JSON file that later runs add to.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import exact
import machine
import peers
import plot
import results
import simdex
import table

HERE = Path(__file__).resolve().parent
BUILD_THREADS = 2
QUICK_ROWS, QUICK_QUERIES = 5000, 500
# What the libraries read when they are loaded; each starts its own pool otherwise.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="rows to search, .npy, n x dim")
    parser.add_argument("--queries", type=Path, required=True, help="queries, .npy")
    parser.add_argument("--truth", type=Path, help="row numbers, nearest first, .npy; computed if missing")
    parser.add_argument("-k", type=int, default=10, help="rows to find (10)")
    parser.add_argument("--threads", type=int, default=1, help="threads of a search (1)")
    parser.add_argument("--only", help="names, with commas between: simdex, " + ", ".join(peers.NAMES))
    parser.add_argument("--quick", action="store_true", help=f"the first {QUICK_ROWS:,} rows alone")
    parser.add_argument("--seconds", type=float, default=1800, help="after which a peer is stopped (1800)")
    parser.add_argument("--out", type=Path, help="the JSON file to add to; the plot goes beside it")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else ["simdex", *peers.NAMES]
    unknown = [name for name in names if name != "simdex" and name not in peers.NAMES]
    if unknown:
        parser.error(f"no peer is called {', '.join(unknown)}")
    given.names = names
    return given


def prepare(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Writes what everyone reads: unit vectors as float32, and the truth. Returns its description."""
    base, queries = np.load(given.base), np.load(given.queries)
    truth = np.load(given.truth) if given.truth and not given.quick else None
    if given.quick:
        base, queries = base[:QUICK_ROWS], queries[:QUICK_QUERIES]
    base, queries = exact.normalized(base), exact.normalized(queries)
    if truth is None:
        truth = exact.nearest(base, queries, given.k)
    if len(truth) != len(queries) or truth.shape[1] < given.k:
        raise SystemExit(f"{given.truth}: {truth.shape}, expected {len(queries)} x at least {given.k}")
    np.save(folder / "base.npy", base)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", np.ascontiguousarray(truth[:, : given.k], dtype=np.int32))
    return {
        "name": given.base.stem,
        "rows": len(base),
        "dimensions": base.shape[1],
        "queries": len(queries),
        "k": given.k,
        "threads": given.threads,
        "build_threads": BUILD_THREADS,
    }


def environment(name: str, threads: int) -> dict[str, str]:
    # turbovec's pool takes its size once; a search must not get the build's.
    size = threads if name == "turbovec" else max(threads, BUILD_THREADS)
    return {**os.environ, **{variable: str(size) for variable in THREAD_VARIABLES}}


def run_peer(name: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One peer in a process of its own; whatever happens to it, an entry comes back."""
    out = folder / "result.json"
    out.unlink(missing_ok=True)
    numbers = ["-k", given.k, "--threads", given.threads, "--build-threads", BUILD_THREADS]
    command = [sys.executable, HERE / "worker.py", name, "--folder", folder, "--out", out, *numbers]
    try:
        said = subprocess.run(
            [str(word) for word in command],
            env=environment(name, given.threads),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=given.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {given.seconds:.0f} s"}
    if said.returncode < 0:
        return {"error": f"killed by signal {-said.returncode}"}
    if said.returncode > 0 or not out.exists():
        lines = said.stderr.strip().splitlines() or [f"exit code {said.returncode}"]
        return {"error": lines[-1][:200]}
    entry: dict[str, Any] = json.loads(out.read_text())
    return entry


def run_simdex(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    try:
        variables = environment("simdex", given.threads)
        numbers = given.k, given.threads, BUILD_THREADS, given.seconds
        return simdex.measure(folder, *numbers, variables)
    except (OSError, RuntimeError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return {"simdex": {"error": str(error).splitlines()[0][:200]}}


def stamped(entry: dict[str, Any]) -> dict[str, Any]:
    today = datetime.date.today().isoformat()
    tools = {"python": sys.version.split()[0], "numpy": version("numpy")}
    return {**entry, "date": today, "machine": machine.described(), "tools": tools}


def target(given: argparse.Namespace, data: dict[str, Any]) -> Path:
    if given.out:
        out: Path = given.out
        return out
    quick = "-quick" if given.quick else ""
    today = datetime.date.today().isoformat()
    name = f"{today}-{machine.label()}-{data['name']}-k{data['k']}{quick}.json"
    return HERE / "results" / name


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = prepare(given, folder)
        path = target(given, data)
        found = results.load(path, data)
        for peer in given.names:
            print(f"{peer} …", file=sys.stderr, flush=True)
            ours = peer == "simdex"
            entries = run_simdex(folder, given) if ours else {peer: run_peer(peer, folder, given)}
            found = results.merge(path, data, {key: stamped(entry) for key, entry in entries.items()})
            for key, entry in entries.items():
                if "error" in entry:
                    print(f"{key}: {entry['error']}", file=sys.stderr)
    plot.draw(found, path.with_suffix(".svg"))
    print(table.render(found))


if __name__ == "__main__":
    main()
