"""The results file: one data set, one k, one entry for each peer, merged run by run."""

import json
from pathlib import Path
from typing import Any

Results = dict[str, Any]


class OtherData(Exception):
    """The file holds results that can't stand in one table with these."""


def load(path: Path, data: dict[str, Any]) -> Results:
    """The results so far; empty ones when there is no file yet."""
    if not path.exists():
        return {"data": data, "peers": {}}
    found: Results = json.loads(path.read_text())
    if found["data"] != data:
        raise OtherData(f"{path}: holds results for {found['data']}, not for {data}; name another --out")
    return found


def merge(path: Path, data: dict[str, Any], entries: dict[str, Any]) -> Results:
    """Adds entries, in the place of older ones of the same names, and writes the file.

    A failed run doesn't push out figures that an earlier one measured.
    """
    found = load(path, data)
    if any(name.startswith("simdex-") for name in entries):
        # simdex measures all its kinds together: none from before may stay beside them.
        found["peers"] = {n: e for n, e in found["peers"].items() if not n.startswith("simdex")}
    for name, entry in entries.items():
        if "error" in entry and "error" not in found["peers"].get(name, entry):
            continue
        found["peers"][name] = entry
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    return found
