"""Which machine measured, without anything that tells whose it is."""

import os
import platform
import re
from pathlib import Path


def processor() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def instructions() -> list[str]:
    """The instruction sets that decide which kernels run."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    return [name for name in ("avx2", "avx512bw", "avx512_vnni", "asimd", "asimddp") if name in flags]


def described() -> dict[str, object]:
    return {"processor": processor(), "cores": os.cpu_count(), "instructions": instructions()}


def label() -> str:
    """The processor as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
