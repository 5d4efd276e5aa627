"""How strictly update ids are followed, per category and depth: the table for ``Dispatcher(rules=...)``.

``strict``: an id that is not the next one turns the book STALE until a new snapshot. ``warn``: a forward jump
is a gap row and the book goes on. The venue documents ids as contiguous for every depth above 1; that was
also measured on linear 50 and 200. A depth that proves to jump legally is set to ``warn`` here, and nowhere
else. Level 1 is sent as snapshots only and has no such rule.
"""

from typing import Final

__all__ = ["CONTINUITY"]

CONTINUITY: Final[dict[str, dict[int, str]]] = {
    "spot": {50: "strict", 200: "strict", 1000: "strict"},
    "linear": {50: "strict", 200: "strict", 1000: "strict"},
    "inverse": {50: "strict", 200: "strict", 1000: "strict"},
    "option": {25: "strict", 100: "strict"},
    "spread": {25: "strict"},
}
