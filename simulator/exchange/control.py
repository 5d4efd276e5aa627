"""The exchange's endpoints of its own, for tests: what happened, and what is to happen."""

from decimal import Decimal, InvalidOperation
from typing import Any

from simulator.errors import SimulatorError
from simulator.exchange.decimals import text
from simulator.exchange.engine import CATEGORIES
from simulator.exchange.exchange import Exchange

PREFIX = "/simulator/exchange/"
BAN_MS = 600_000


class Control:
    """Looks into an exchange and moves it. Raises SimulatorError on a wrong request."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def get(self, name: str, query: dict[str, str]) -> dict[str, Any]:
        """Return `log` (its lines after `from`), `accounts`, or `faults`."""
        exchange = self._exchange
        if name == "log":
            first = int(query["from"]) if query.get("from", "").isdigit() else 0
            return {"lines": list(exchange.journal.lines)[first:]}
        if name == "accounts":
            return {"accounts": [self._account(one.uid) for one in exchange.engine.accounts.by_uid.values()]}
        if name == "faults":
            return {"armed": exchange.faults.armed(), "log": list(exchange.faults.log)}
        raise SimulatorError(f"there is no {PREFIX}{name}; there are log, accounts, faults")

    def _account(self, uid: int) -> dict[str, Any]:
        engine = self._exchange.engine
        account = engine.accounts.by_uid[uid]
        return {
            "uid": uid,
            "balances": {coin: text(amount) for coin, amount in account.balances.items()},
            "live": [one.row() for one in account.live.values()],
            "orders": len(account.orders),
            "executions": len(account.executions),
            "positions": [
                {
                    "category": one.category,
                    "symbol": one.symbol,
                    "positionIdx": one.idx,
                    "size": text(one.size),
                    "entry": text(one.entry),
                }
                for one in account.positions.values()
                if one.size
            ],
        }

    def post(self, name: str, body: Any) -> dict[str, Any]:
        """Perform `faults` (arm a script), `trade`, `fund`, `ban`, `accounts` (open), `expire` (a key)."""
        exchange = self._exchange
        if name == "faults":
            exchange.faults.arm(body, exchange.fault_ns())
            return self.get("faults", {})
        if not isinstance(body, dict):
            raise SimulatorError("the body is a JSON object")
        if name == "trade":
            self._trade(body)
        elif name == "fund":
            exchange.engine.fund()
        elif name == "ban":
            now_ms, for_ms = exchange.now_ms(), body.get("for_ms", BAN_MS)
            if not isinstance(for_ms, int):
                raise SimulatorError(f"for_ms was {for_ms!r}; it is a number of ms")
            exchange.addresses.ban(str(body.get("address", "*")), now_ms + for_ms)
        elif name == "accounts":
            account = exchange.engine.accounts.open_text(str(body.get("account", "")))
            return {"uid": account.uid}
        elif name == "expire":
            key = exchange.engine.accounts.keys.get(str(body.get("key")))
            if key is None:
                raise SimulatorError(f"key was {body.get('key')!r}; no account has it")
            key.expires_ms = int(body.get("at_ms", exchange.now_ms()))
        else:
            raise SimulatorError(
                f"there is no {PREFIX}{name}; there are faults, trade, fund, ban, accounts, expire"
            )
        exchange.flush()
        return {}

    def _trade(self, body: dict[str, Any]) -> None:
        """Let others trade once at a price: resting orders fill, triggers see it as every price."""
        category, symbol = str(body.get("category")), str(body.get("symbol"))
        market = self._exchange.market(category, symbol) if category in CATEGORIES else None
        if market is None:
            raise SimulatorError(f"{category}:{symbol} is no market that trades")
        try:
            price, qty = Decimal(str(body["price"])), Decimal(str(body.get("qty", "0")))
        except (KeyError, InvalidOperation) as error:
            raise SimulatorError("a trade has price and qty as decimal texts") from error
        buys = body.get("side", "Buy") == "Buy"
        self._exchange.engine.printed(market, price, qty, buys)

    def delete(self, name: str) -> dict[str, Any]:
        """Disarm the `faults`."""
        if name != "faults":
            raise SimulatorError(f"there is no {PREFIX}{name} to delete; there is faults")
        self._exchange.faults.clear()
        return self.get("faults", {})
