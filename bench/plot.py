"""The results as a picture: recall against queries per second, readable on white and on dark."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt

from frontier import frontier
from results import Results
from table import is_ours

# Okabe and Ito's colours, told apart by people with any colour vision, without their black and
# yellow, which vanish on one of the two backgrounds. Markers tell repeats of a colour apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">", "p", "h", "d", "8", "H")
OURS = "#D55E00"
# A grey with a contrast of about 4.5 to white and to near-black alike.
INK = "#767676"
# The middle of the recalls is empty; what lies below this is of no use to anyone.
LEAST = 0.8


def _style(name: str, place: int) -> dict[str, object]:
    if is_ours(name):
        return {"color": OURS, "marker": "*", "markersize": 10, "linewidth": 2.4, "zorder": 3}
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    return {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.3}


def draw(results: Results, path: Path) -> None:
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "simdex", "font.size": 10})
    figure, axes = plt.subplots(figsize=(9, 5.5))
    # The place in the sorted names, not in the drawing, so that a peer keeps its look.
    for place, (name, entry) in enumerate(sorted(results["peers"].items())):
        points = [(p["recall"], p["batch_queries_per_second"]) for p in entry.get("points", [])]
        shown = [point for point in frontier(points) if point[0] >= LEAST]
        if shown:
            axes.plot(*zip(*shown), label=name, **_style(name, place))
    data = results["data"]
    axes.set_yscale("log")
    axes.set_xlabel(f"recall@{data['k']}", color=INK)
    axes.set_ylabel("queries/s, batch, log scale", color=INK)
    title = f"{data['name']}, {data['rows']:,} × {data['dimensions']}, {data['threads']} thread(s)"
    axes.set_title(title, color=INK)
    axes.grid(color=INK, alpha=0.25, which="both", linewidth=0.5)
    axes.tick_params(colors=INK, which="both")
    axes.spines[:].set_color(INK)
    legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    plt.setp(legend.get_texts(), color=INK)
    # No date: the same figures give the same file.
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
