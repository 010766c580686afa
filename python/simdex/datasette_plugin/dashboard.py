"""`/-/simdex`: the indexes, what is in them, and what went wrong."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

from datasette.utils.asgi import BadRequest, Response

from simdex import _native
from simdex.datasette_plugin.permissions import may_enter, may_manage, may_view, refuse
from simdex.datasette_plugin.plot import plot
from simdex.datasette_plugin.registry import Registry
from simdex.datasette_plugin.table import Table

ACTIONS = {
    "refresh": Table.prepare_in_background,
    "build": Table.rebuild_in_background,
    "compare": Table.compare_in_background,
}


async def dashboard(datasette: Any, request: Any) -> Response:
    """The page, and the forms on it."""
    refuse(await may_enter(datasette, request.actor), "view this Datasette")
    registry = Registry.of(datasette)
    can_manage = await may_manage(datasette, request.actor)
    if request.method == "POST":
        refuse(can_manage, "manage indexes")
        return await _act(registry, request)
    seen = [
        (number, table)
        for number, table in enumerate(registry.tables)
        if await may_view(datasette, request.actor, table.entry.database, table.entry.table)
    ]
    loop = asyncio.get_running_loop()
    looked = loop.run_in_executor(
        None, lambda: [_described(number, table) for number, table in seen]
    )
    context = {
        "indexes": await looked,
        "can_manage": can_manage,
        # They may tell of what others asked for.
        "errors": list(reversed(registry.errors)) if can_manage else [],
        "notices": list(reversed(registry.notices)) if can_manage else [],
        "path": datasette.urls.path("/-/simdex"),
        "is_working": any(table.is_working for _, table in seen),
    }
    return Response.html(await datasette.render_template("simdex_dashboard.html", context, request))


async def _act(registry: Registry, request: Any) -> Response:
    form = await request.post_vars()
    try:
        table = registry.tables[int(form.get("index", ""))]
        act = ACTIONS[form.get("action", "")]
    except (ValueError, IndexError, KeyError):
        raise BadRequest("There is no such index or action") from None
    if table.is_file():
        act(table)
    return Response.redirect(registry.datasette.urls.path("/-/simdex"))


def _described(number: int, table: Table) -> dict[str, Any]:
    """An index for people. Cheap: it reads no row."""
    entry = table.entry
    described: dict[str, Any] = {
        "number": number,
        "database": entry.database,
        "table": entry.table,
        "where": entry.where,
        "metric": entry.metric,
        "kind": entry.kind,
        "is_working": table.working_on,
        "comparison": _compared(table.comparison),
    }
    if table.database() is None:
        return {**described, "state": "There is no such database."}
    if not table.is_file():
        return {**described, "state": "In memory: every search reads the rows."}
    try:
        opened = table.open()
        info = opened.native.index(entry.index)
    except _native.SimdexError as error:
        return {**described, "state": str(error)}
    state = info["state"]
    described["kind"] = info["kind"]
    if state["state"] != "built":
        waiting = "Not built yet: every search reads the rows."
        return {**described, "state": state.get("reason", waiting)}
    described["built"] = {
        "rows": f"{state['rows']:,}",
        "dimensions": f"{state['dimensions']:,}",
        "skipped": [(name, f"{rows:,}") for name, rows in _skipped(state["skipped"])],
        "fresh": _fresh(state),
        "built_at": datetime.fromtimestamp(state["built_at"], timezone.utc),
        "build_seconds": f"{state['build_seconds']:.2f}",
        "size": f"{state['bytes'] / 1e6:,.1f} MB",
        "facts": state["facts"],
    }
    return described


def _skipped(counts: dict[str, int]) -> list[tuple[str, int]]:
    names = {
        "null": "NULL",
        "not_a_blob": "not a blob",
        "odd_length": "length not a multiple of 4 bytes",
        "not_finite": "NaN or infinite value",
        "zero": "all zeros",
        "other_size": "another number of dimensions",
    }
    return [(names.get(name, name), rows) for name, rows in counts.items() if rows]


def _fresh(state: dict[str, Any]) -> str:
    if not state["fresh"]:
        return "The database may have changed since the last look; the next search looks again."
    changes = state["tail"] + state["tombstones"]
    if changes:
        return f"In step with the database; {changes:,} changes are kept beside the index."
    return "In step with the database."


def _compared(comparison: dict[str, Any] | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    points = [
        {
            "name": trial["index"] or trial["kind"],
            "recall": point["recall"],
            "milliseconds": point["latency"]["p50_ms"],
            "settings": ", ".join(f"{key}={value}" for key, value in point["parameters"].items()),
        }
        for trial in comparison["trials"]
        for point in trial["points"]
    ]
    return {
        "rows": f"{comparison['rows']:,}",
        "queries": f"{comparison['queries']:,}",
        "k": comparison["k"],
        "points": points,
        "has_settings": any(point["settings"] for point in points),
        "plot": plot(points),
        "notices": comparison["notices"],
    }
