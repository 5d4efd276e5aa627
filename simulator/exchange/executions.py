"""Fills and funding payments, and the rows they are shown in."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulator.exchange.decimals import ZERO, text
from simulator.exchange.orders import Order


@dataclass(frozen=True, slots=True)
class Execution:
    """One row of an account. A funding payment has an order of its own that nobody placed."""

    exec_id: str
    order: Order
    kind: str
    price: Decimal
    qty: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    fee_coin: str
    is_maker: bool
    left: Decimal
    closed: Decimal
    pnl: Decimal
    mark: Decimal
    time_ms: int
    seq: int

    def row(self) -> dict[str, Any]:
        """Return it as the execution topic and REST show it."""
        order = self.order
        return {
            "category": order.category,
            "symbol": order.symbol,
            "execFee": text(self.fee),
            "execId": self.exec_id,
            "execPrice": text(self.price),
            "execQty": text(self.qty),
            "execPnl": text(self.pnl),
            "execType": self.kind,
            "execValue": text(self.value),
            "feeRate": text(self.fee_rate),
            "feeCurrency": self.fee_coin if order.category == "spot" else "",
            "tradeIv": "",
            "markIv": "",
            "blockTradeId": "",
            "markPrice": text(self.mark),
            "indexPrice": "",
            "underlyingPrice": "",
            "leavesQty": text(self.left),
            "orderId": order.order_id,
            "orderLinkId": order.link_id,
            "orderPrice": text(order.price),
            "orderQty": text(order.qty),
            "orderType": order.kind if self.kind == "Trade" else "UNKNOWN",
            "stopOrderType": order.stop,
            "side": order.side,
            "execTime": str(self.time_ms),
            "isLeverage": "0",
            "isMaker": self.is_maker,
            "seq": self.seq,
            "createType": order.create_type,
            "marketUnit": order.market_unit,
            "closedSize": text(self.closed),
            "extraFees": "",
        }

    def fast_row(self) -> dict[str, Any]:
        """Return it as the execution.fast topic shows it: a maker's orderLinkId is left out there."""
        order = self.order
        return {
            "category": order.category,
            "symbol": order.symbol,
            "execId": self.exec_id,
            "execPrice": text(self.price),
            "execQty": text(self.qty),
            "orderId": order.order_id,
            "orderLinkId": "" if self.is_maker else order.link_id,
            "side": order.side,
            "execTime": str(self.time_ms),
            "isMaker": self.is_maker,
            "seq": self.seq,
        }

    @property
    def fee_paid(self) -> Decimal:
        """The fee, 0 for funding (there the fee is the payment)."""
        return self.fee if self.kind == "Trade" else ZERO
