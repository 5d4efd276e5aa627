"""An order as the exchange keeps it, and the rows it is shown in."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.decimals import ZERO, money, text

LIVE = ("New", "PartiallyFilled", "Untriggered", "Triggered")
UNKNOWN = "UNKNOWN"
NO_ERROR = "EC_NoError"


@dataclass(slots=True, eq=False)
class Order:
    """Prices and quantities as decimals; 0 is none. Times are ms.

    `stop` is the venue's stopOrderType; `whole`: it closes the position, however large; `trail` is the
    distance of a trailing stop; `sibling`: the other one of a pair where one cancels the other.
    """

    account: Account
    order_id: str
    link_id: str
    category: str
    symbol: str
    side: str
    kind: str
    qty: Decimal
    price: Decimal = ZERO
    time_in_force: str = "GTC"
    position_idx: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    smp: str = "None"
    trigger_price: Decimal = ZERO
    trigger_direction: int = 0
    trigger_by: str = ""
    order_filter: str = "Order"
    market_unit: str = ""
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    tp_trigger_by: str = ""
    sl_trigger_by: str = ""
    tp_limit_price: Decimal = ZERO
    sl_limit_price: Decimal = ZERO
    tpsl_mode: str = ""
    stop: str = UNKNOWN
    create_type: str = "CreateByUser"
    whole: bool = False
    trail: Decimal = ZERO
    active_price: Decimal = ZERO
    sibling: "Order | None" = None
    parent_link_id: str = ""
    status: str = "New"
    left: Decimal = ZERO
    filled: Decimal = ZERO
    filled_value: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    closed_pnl: Decimal = ZERO
    cancel_type: str = UNKNOWN
    reject_reason: str = NO_ERROR
    smp_order_id: str = ""
    last_on_create: Decimal = ZERO
    created_ms: int = 0
    updated_ms: int = 0
    place: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it may still fill."""
        return self.status in LIVE

    @property
    def is_open(self) -> bool:
        """Whether it rests in the book."""
        return self.status in ("New", "PartiallyFilled")

    @property
    def buys(self) -> bool:
        """Whether it buys."""
        return self.side == "Buy"

    @property
    def average(self) -> Decimal:
        """The average price of its fills, 0 where it has none; of inverse the harmonic one."""
        if not self.filled:
            return ZERO
        if self.category == "inverse":
            return money(self.filled / self.filled_value)
        return money(self.filled_value / self.filled)

    def value(self, qty: Decimal, price: Decimal) -> Decimal:
        """Return what a quantity is worth at a price, in the coin that it settles in."""
        if self.category == "inverse":
            return money(qty / price) if price else ZERO
        return qty * price

    def row(self) -> dict[str, Any]:
        """Return it as the order topic and REST show it."""
        found: dict[str, Any] = {
            "category": self.category,
            "symbol": self.symbol,
            "orderId": self.order_id,
            "orderLinkId": self.link_id,
            "parentOrderLinkId": self.parent_link_id,
            "blockTradeId": "",
            "side": self.side,
            "positionIdx": self.position_idx,
            "orderStatus": self.status,
            "cancelType": self.cancel_type,
            "rejectReason": self.reject_reason,
            "timeInForce": self.time_in_force,
            "isLeverage": "",
            "price": text(self.price),
            "qty": text(self.qty),
            "avgPrice": text(self.average) if self.filled else "",
            "leavesQty": text(self.left),
            "leavesValue": text(self.value(self.left, self.price)),
            "cumExecQty": text(self.filled),
            "cumExecValue": text(self.filled_value),
            "cumExecFee": text(sum(self.fees.values(), ZERO)),
            "cumFeeDetail": {coin: text(fee) for coin, fee in self.fees.items()},
            "closedPnl": text(self.closed_pnl),
            "feeCurrency": next(iter(self.fees), "") if self.category == "spot" else "",
            "orderType": self.kind,
            "stopOrderType": self.stop if self.stop != UNKNOWN or self.category != "spot" else "",
            "orderIv": "",
            "marketUnit": self.market_unit,
            "slippageToleranceType": UNKNOWN,
            "slippageTolerance": "",
            "triggerPrice": text(self.trigger_price) if self.trigger_price else "",
            "triggerDirection": self.trigger_direction,
            "triggerBy": self.trigger_by,
            "takeProfit": text(self.take_profit) if self.take_profit else "",
            "stopLoss": text(self.stop_loss) if self.stop_loss else "",
            "tpTriggerBy": self.tp_trigger_by,
            "slTriggerBy": self.sl_trigger_by,
            "tpLimitPrice": text(self.tp_limit_price),
            "slLimitPrice": text(self.sl_limit_price),
            "lastPriceOnCreated": text(self.last_on_create),
            "placeType": "",
            "reduceOnly": self.reduce_only,
            "closeOnTrigger": self.close_on_trigger,
            "smpType": self.smp,
            "smpGroup": 0,
            "smpOrderId": self.smp_order_id,
            "rpiTakerAccess": False,
            "rpiMatchedQty": "0",
            "createdTime": str(self.created_ms),
            "updatedTime": str(self.updated_ms),
        }
        if self.category not in ("spot", "option"):
            found["createType"] = self.create_type
        if self.category != "spot":
            found["tpslMode"] = self.tpsl_mode or UNKNOWN
        return found

    def rest_row(self) -> dict[str, Any]:
        """Return it as REST lists it: spot has a basePrice there."""
        found = self.row()
        if self.category == "spot":
            found["basePrice"] = found.pop("lastPriceOnCreated")
            found["orderFilter"] = self.order_filter
        return found
