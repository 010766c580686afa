"""What every peer looks like to the bench."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
# One setting of a search, from fast to thorough: {"ef": 40}. Empty for an exact search.
Parameters = dict[str, Any]


class Peer(Protocol):
    """One index of one library.

    Vectors are float32, C-contiguous, of unit length; similarity is the cosine, so the inner
    product orders them the same way. The library is imported when the adapter is, so that its own
    weight isn't counted as the index's.
    """

    # The name of the distribution on the package index, for its version.
    package: str
    # What was built, for the table: "M 16, efC 200".
    settings: str

    def build(self, base: Vectors, threads: int) -> Any:
        """An index of `base` (n x dim), built with that many threads, then set to search with one."""
        ...

    def sweep(self, k: int) -> list[Parameters]:
        """Settings to measure, in the order of rising recall."""
        ...

    def search_batch(self, index: Any, queries: Vectors, k: int, parameters: Parameters) -> Rows:
        """Row numbers (queries x k) in one call, or in the loop that the library leaves to its users."""
        ...

    def search_one(self, index: Any, query: Vectors, k: int, parameters: Parameters) -> Rows:
        """Row numbers (k) for one query (dim) in one call."""
        ...
