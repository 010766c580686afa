"""What the tests of the index plugins share."""

from __future__ import annotations

import sys
from pathlib import Path

# However pytest imports tests, they find what they share.
sys.path.insert(0, str(Path(__file__).parent))
