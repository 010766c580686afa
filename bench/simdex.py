"""simdex itself: its own `compare` measures, over the same vectors, in a process of its own."""

import json
import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def program() -> Path:
    """The release build, or what SIMDEX names."""
    return Path(os.environ.get("SIMDEX", ROOT / "target" / "release" / "simdex"))


def version() -> str:
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[-1]


def measure(
    folder: Path,
    k: int,
    threads: int,
    build_threads: int,
    seconds: float,
    environment: dict[str, str],
) -> dict[str, dict[str, Any]]:
    """One entry for each kind, as a peer's worker would have written it."""
    names = ("--vectors", "base"), ("--queries", "queries"), ("--truth", "truth")
    files = [part for option, name in names for part in (option, str(folder / f"{name}.npy"))]
    command = [str(program()), "compare", *files, "-k", str(k), "--threads", str(threads)]
    command += ["--build-threads", str(build_threads), "--json"]
    before, start = _processor_seconds(), time.perf_counter()
    said = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=environment, check=False
    )
    if said.returncode != 0:
        lines = said.stderr.strip().splitlines() or [f"exit code {said.returncode}"]
        raise RuntimeError(lines[0])
    # Of the whole run, whose builds may use more: too little here is surely too little.
    busy = round((_processor_seconds() - before) / (time.perf_counter() - start), 2)
    vectors = (folder / "base.npy").stat().st_size
    kinds: dict[str, list[dict[str, Any]]] = {}
    for point in json.loads(said.stdout)["points"]:
        kinds.setdefault(point["kind"], []).append(point)
    return {
        f"simdex-{kind}": {**_entry(points, vectors), "cores_busy": busy}
        for kind, points in kinds.items()
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _entry(points: list[dict[str, Any]], vectors: int) -> dict[str, Any]:
    build = points[0]
    peak = build.get("peak_memory_bytes")
    # What all points share was built; what differs was swept.
    shared = {
        name: value
        for name, value in build["parameters"].items()
        if all(point["parameters"].get(name) == value for point in points)
    }
    return {
        "package": "simdex",
        "version": version(),
        "settings": ", ".join(f"{name} {value}" for name, value in shared.items()) or "defaults",
        "build_seconds": build["build_seconds"],
        # Its peak is of the whole process; the vectors given to it don't count, as with the peers.
        "peak_memory_bytes": None if peak is None else max(0, peak - vectors),
        "memory_bytes": build.get("bytes"),
        "points": points,
    }
