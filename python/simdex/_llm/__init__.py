"""What the plugin for llm is made of."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """One line to the person at the terminal."""
    print("simdex: " + " ".join(message.split()), file=sys.stderr)
