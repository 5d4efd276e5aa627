"""How much the venue still takes, by endpoint and category, as its answers say."""

from dataclasses import dataclass
from typing import Final

__all__ = ["LIMITS", "WINDOW_MS", "Buckets"]

WINDOW_MS: Final = 1_000  # the venue counts what came within the last second

# A second's allowance of the default tier, until the venue's own headers say another: by endpoint, of linear
# and inverse; then of option and spot where it differs.
LIMITS: Final[dict[str, dict[str, int]]] = {
    "order/create": {"": 10, "spot": 20},
    "order/amend": {"": 10},
    "order/cancel": {"": 10, "spot": 20},
    "order/cancel-all": {"": 10, "option": 1, "spot": 20},
    "order/create-batch": {"": 10, "spot": 20},
    "order/amend-batch": {"": 10, "spot": 20},
    "order/cancel-batch": {"": 10, "spot": 20},
    "order/realtime": {"": 50},
    "order/history": {"": 50},
    "execution/list": {"": 50},
    "position/list": {"": 50},
    "position/closed-pnl": {"": 50},
    "position/set-leverage": {"": 10},
    "position/switch-mode": {"": 10},
    "position/trading-stop": {"": 10},
    "account/wallet-balance": {"": 50},
    "account/info": {"": 50},
    "account/fee-rate": {"": 5},
    "account/query-dcp-info": {"": 5},
    "order/disconnected-cancel-all": {"": 5},
    "spread/order/create": {"": 20},
    "spread/order/amend": {"": 20},
    "spread/order/cancel": {"": 20},
    "spread/order/cancel-all": {"": 5},
}
LIMIT_DEFAULT: Final = 10
ONE_UNIT_A_REQUEST: Final = frozenset({"option"})  # elsewhere a batch takes one unit an order


@dataclass(slots=True)
class _Bucket:
    limit: int
    taken: list[int]
    blocked_until_ms: int = 0


class Buckets:
    """Says whether a request may go now. Sans-I/O; times are ms of one clock, any that does not go back."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def wait_ms(self, endpoint: str, category: str, now_ms: int, orders: int = 1) -> int:
        """Return in how many ms a request may go, 0: now. ``orders``: how many a batch has."""
        bucket = self._bucket(endpoint, category)
        if now_ms < bucket.blocked_until_ms:
            return bucket.blocked_until_ms - now_ms
        self._forget(bucket, now_ms)
        over = len(bucket.taken) + self._units(category, orders) - max(bucket.limit, 1)
        if over <= 0 or not bucket.taken:
            return 0
        return bucket.taken[min(over, len(bucket.taken)) - 1] + WINDOW_MS - now_ms

    def take(self, endpoint: str, category: str, now_ms: int, orders: int = 1) -> None:
        """Count a request that goes now."""
        self._bucket(endpoint, category).taken += [now_ms] * self._units(category, orders)

    def limit(self, endpoint: str, category: str) -> int:
        """Return how many a second the venue takes."""
        return max(self._bucket(endpoint, category).limit, 1)

    def batch_max(self, endpoint: str, category: str, most: int) -> int:
        """Return how many orders a batch may have: ``most``, or what a second's allowance takes."""
        return most if category in ONE_UNIT_A_REQUEST else min(most, self.limit(endpoint, category))

    def heard(self, endpoint: str, category: str, limit: int) -> None:
        """Take the allowance that an answer's header told."""
        if limit > 0:
            self._bucket(endpoint, category).limit = limit

    def exhausted(self, endpoint: str, category: str, until_ms: int) -> None:
        """The venue refused a request until then (retCode 10006)."""
        bucket = self._bucket(endpoint, category)
        bucket.blocked_until_ms = max(bucket.blocked_until_ms, until_ms)

    def _bucket(self, endpoint: str, category: str) -> _Bucket:
        found = self._buckets.get((endpoint, category))
        if found is None:
            known = LIMITS.get(endpoint, {"": LIMIT_DEFAULT})
            found = self._buckets[endpoint, category] = _Bucket(known.get(category, known[""]), [])
        return found

    def _units(self, category: str, orders: int) -> int:
        return 1 if category in ONE_UNIT_A_REQUEST else orders

    def _forget(self, bucket: _Bucket, now_ms: int) -> None:
        gone = sum(1 for taken_ms in bucket.taken if taken_ms <= now_ms - WINDOW_MS)
        del bucket.taken[:gone]
