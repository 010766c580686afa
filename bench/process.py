"""What the running process weighs, and on how many cores it may run. Linux tells; others don't."""

import os
from pathlib import Path

STATUS = Path("/proc/self/status")


def _field(name: str) -> int | None:
    if not STATUS.exists():
        return None
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def memory() -> int | None:
    """Bytes resident now."""
    return _field("VmRSS")


def peak() -> int | None:
    """The most bytes that were resident since `forget_peak`."""
    return _field("VmHWM")


def forget_peak() -> None:
    """Starts the peak anew, so that reading the data doesn't hide what a build needs."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # Then the peak is that of the whole process: too high, never too low.
        pass


def pin(cores: int) -> None:
    """Keeps every thread, those of the libraries' pools too, on the first `cores` cores."""
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), allowed)
