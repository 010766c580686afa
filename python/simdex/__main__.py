"""The `simdex` command."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command with the arguments of this process."""
    from simdex import _native

    # The command hears Ctrl-C and closed pipes itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.flush()
    return _native.command(["simdex", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
