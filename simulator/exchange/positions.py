"""Positions: what is held of a contract, what it cost, what it has earned."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulator.exchange.decimals import ZERO, money, text

LEVERAGE = Decimal(10)
MAINTENANCE = Decimal("0.005")


@dataclass(slots=True, eq=False)
class Position:
    """`size` is signed: below 0 is short. `cost` is the entry value of what is held, without sign."""

    category: str
    symbol: str
    idx: int
    size: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    realised_ever: Decimal = ZERO
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    trailing_stop: Decimal = ZERO
    created_ms: int = 0
    updated_ms: int = 0
    opened_ms: int = 0
    seq: int = -1

    @property
    def side(self) -> str:
        """Buy, Sell, or empty."""
        return "" if not self.size else "Buy" if self.size > 0 else "Sell"

    @property
    def entry(self) -> Decimal:
        """The average entry price."""
        if not self.size:
            return ZERO
        size = abs(self.size)
        return money(size / self.cost if self.category == "inverse" else self.cost / size)

    def value(self, qty: Decimal, price: Decimal) -> Decimal:
        """Return what a quantity is worth, in the coin it settles in."""
        if self.category == "inverse":
            return qty / price if price else ZERO
        return qty * price

    def closable(self, buys: bool) -> Decimal:
        """Return how much an order of a side can close."""
        return abs(self.size) if self.size and (self.size < 0) == buys else ZERO

    def fill(self, buys: bool, qty: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """Apply a fill; return the quantity it closed and what that earned."""
        closed = min(qty, self.closable(buys))
        pnl = ZERO
        if closed:
            cost = self.cost * closed / abs(self.size)
            gain = self.value(closed, price) - cost
            pnl = money(gain if (self.size > 0) != (self.category == "inverse") else -gain)
            self.cost -= cost
            self.size += closed if buys else -closed
        opened = qty - closed
        if opened:
            self.cost += self.value(opened, price)
            self.size += opened if buys else -opened
        if not self.size:
            self.cost = ZERO
        return closed, pnl

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return what closing it at a price would earn."""
        if not self.size:
            return ZERO
        gain = self.value(abs(self.size), mark) - self.cost
        return money(gain if (self.size > 0) != (self.category == "inverse") else -gain)

    def row(self, mark: Decimal, leverage: Decimal, *, streamed: bool) -> dict[str, Any]:
        """Return it as the topic (`streamed`) or REST shows it: they name the entry price differently."""
        worth = self.value(abs(self.size), mark)
        found: dict[str, Any] = {
            "positionIdx": self.idx,
            "riskId": 1,
            "riskLimitValue": "2000000",
            "symbol": self.symbol,
            "side": self.side,
            "size": text(abs(self.size)),
            "positionValue": text(money(self.cost)),
            "tradeMode": 0,
            "positionStatus": "Normal",
            "autoAddMargin": 0,
            "adlRankIndicator": 2 if self.size else 0,
            "leverage": text(leverage),
            "positionBalance": "0",
            "markPrice": text(mark),
            "liqPrice": "",
            "bustPrice": "",
            "positionIM": text(money(worth / leverage)),
            "positionMM": text(money(worth * MAINTENANCE)),
            "tpslMode": "Full",
            "takeProfit": text(self.take_profit) if self.take_profit else "",
            "stopLoss": text(self.stop_loss) if self.stop_loss else "",
            "trailingStop": text(self.trailing_stop),
            "unrealisedPnl": text(self.unrealised(mark)),
            "curRealisedPnl": text(self.realised),
            "cumRealisedPnl": text(self.realised_ever),
            "sessionAvgPrice": "",
            "breakEvenPrice": text(self.entry),
            "isReduceOnly": False,
            "mmrSysUpdatedTime": "",
            "leverageSysUpdatedTime": "",
            "createdTime": str(self.created_ms),
            "updatedTime": str(self.updated_ms),
            "openTime": self.opened_ms,
            "seq": self.seq,
        }
        if streamed:
            return {"category": self.category, **found, "entryPrice": text(self.entry)}
        return {**found, "avgPrice": text(self.entry)}
