"""Requests a second, by account and endpoint: a window that rolls over the last second."""

from collections import deque

from simulator.exchange.accounts import Account

WINDOW_MS = 1_000
BY_CATEGORY: dict[str, tuple[int, int, int]] = {
    "order/create": (10, 10, 20),
    "order/amend": (10, 10, 10),
    "order/cancel": (10, 10, 20),
    "order/cancel-all": (10, 1, 20),
    "order/create-batch": (10, 10, 20),
    "order/amend-batch": (10, 10, 20),
    "order/cancel-batch": (10, 10, 20),
}
"""Of linear and inverse, of option, of spot."""
LIMITS: dict[str, int] = {
    "order/realtime": 50,
    "order/history": 50,
    "execution/list": 50,
    "position/list": 50,
    "position/closed-pnl": 50,
    "position/set-leverage": 10,
    "position/switch-mode": 10,
    "position/trading-stop": 10,
    "account/wallet-balance": 50,
    "account/info": 50,
    "account/fee-rate": 5,
    "account/query-dcp-info": 5,
    "order/disconnected-cancel-all": 5,
    "spread/order/create": 20,
    "spread/order/amend": 20,
    "spread/order/cancel": 20,
    "spread/order/cancel-all": 5,
    "spread/order/realtime": 50,
    "spread/order/history": 50,
    "spread/execution/list": 50,
}
LIMIT_ELSEWHERE = 10
IP_REQUESTS, IP_WINDOW_MS, IP_BAN_MS = 600, 5_000, 600_000


class Limits:
    """Counts what came; the caller tells the time in ms."""

    def __init__(self) -> None:
        self._taken: dict[tuple[int, str, str], deque[int]] = {}

    def limit(self, account: Account, endpoint: str, category: str) -> int:
        """Return the requests (of a batch: orders) a second."""
        if account.limit:
            return account.limit
        if endpoint in BY_CATEGORY:
            contracts, option, spot = BY_CATEGORY[endpoint]
            return {"option": option, "spot": spot}.get(category, contracts)
        return LIMITS.get(endpoint, LIMIT_ELSEWHERE)

    def take(
        self, account: Account, endpoint: str, category: str, now_ms: int, units: int = 1
    ) -> tuple[int, dict[str, str]]:
        """Return how many of the units are let in, and the headers that say what is left."""
        limit = self.limit(account, endpoint, category)
        bucket = category if endpoint in BY_CATEGORY else ""
        taken = self._taken.setdefault((account.uid, endpoint, bucket), deque())
        while taken and taken[0] <= now_ms - WINDOW_MS:
            taken.popleft()
        let_in = min(units, max(0, limit - len(taken)))
        taken.extend([now_ms] * let_in)
        left = limit - len(taken)
        reset_ms = now_ms if left else taken[0] + WINDOW_MS
        return let_in, {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(left),
            "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
        }


class AddressLimit:
    """600 requests within 5 s, and ten minutes of HTTP 403 after that."""

    def __init__(self, counts: bool) -> None:
        self._counts = counts
        self._came: dict[str, deque[int]] = {}
        self._until_ms: dict[str, int] = {}

    def ban(self, address: str, until_ms: int) -> None:
        """Answer an address (`*`: all) with 403 until then."""
        self._until_ms[address] = until_ms

    def is_banned(self, address: str, now_ms: int) -> bool:
        """Count a request, and return whether it is answered with 403."""
        if self._counts:
            came = self._came.setdefault(address, deque())
            while came and came[0] <= now_ms - IP_WINDOW_MS:
                came.popleft()
            came.append(now_ms)
            if len(came) > IP_REQUESTS:
                self.ban(address, now_ms + IP_BAN_MS)
        return now_ms < max(self._until_ms.get(address, 0), self._until_ms.get("*", 0))
