"""What a signed request does to positions and to the settings of an account."""

from decimal import Decimal

from simulator.exchange.decimals import ZERO, number, text
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.markets import Market
from simulator.exchange.operations import Operation, Request, Result
from simulator.exchange.positions import Position
from simulator.exchange.requests import CONTRACTS, TRIGGERS, one_of, price_of
from simulator.exchange.triggers import STOP_LOSS, TAKE_PROFIT, TRAILING, Triggers

LEVERAGE_MAX = 50
ONE_WAY, HEDGE = 0, 3


def _market(request: Request) -> Market:
    if request.category not in CONTRACTS:
        raise RefusedError(PARAMETER, f"params error: category invalid {request.category!r}")
    return request.engine.market(request.category, request.body.get("symbol"))


def set_leverage(request: Request) -> Result:
    """/v5/position/set-leverage: the same for both sides."""
    market, account = _market(request), request.account
    wanted = [number(request.body.get(name), name) for name in ("buyLeverage", "sellLeverage")]
    if wanted[0] != wanted[1] or not 1 <= wanted[0] <= LEVERAGE_MAX:
        raise RefusedError(
            PARAMETER, f"params error: leverage invalid, both are the same, 1 to {LEVERAGE_MAX}"
        )
    if wanted[0] == account.leverage(market.category, market.symbol):
        raise RefusedError(110043, "leverage not modified")
    account.leverages[market.category, market.symbol] = wanted[0]
    for position in account.positions.values():
        if (position.category, position.symbol) == (market.category, market.symbol):
            request.engine.outbox.position(account, position)
    return {}


def switch_mode(request: Request) -> Result:
    """/v5/position/switch-mode: of a symbol; hedge mode is for USDT perpetuals."""
    if request.category != "linear":
        raise RefusedError(PARAMETER, f"params error: category invalid {request.category!r}")
    market, account = _market(request), request.account
    mode = number(request.body.get("mode"), "mode")
    if mode not in (ONE_WAY, HEDGE) or (mode == HEDGE and market.quote != "USDT"):
        raise RefusedError(PARAMETER, f"params error: mode invalid {text(mode)}")
    if (mode == HEDGE) == (market.symbol in account.hedged):
        raise RefusedError(110025, "Position mode is not modified")
    here = (market.category, market.symbol)
    if any(one.size for one in account.positions.values() if (one.category, one.symbol) == here):
        raise RefusedError(110024, "Position exists, so you cannot switch position mode.")
    if any((one.category, one.symbol) == here for one in account.live.values()):
        raise RefusedError(110028, "Open orders exist, so you cannot switch position mode.")
    (account.hedged.add if mode == HEDGE else account.hedged.discard)(market.symbol)
    return {}


def trading_stop(request: Request) -> Result:
    """/v5/position/trading-stop: take-profit, stop-loss, trailing stop of a position; "0" takes one away."""
    market, account, body = _market(request), request.account, request.body
    idx = int(number(body.get("positionIdx") or 0, "positionIdx"))
    mode = one_of(body, "tpslMode", ("Full", "Partial"), "Full")
    position = account.position(market.category, market.symbol, idx)
    if not position.size:
        raise RefusedError(PARAMETER, "can not set tp/sl/ts for zero position")
    _, triggers = request.engine.book(market)
    stop = _Stop(request, market, position, triggers)
    changed = False
    levels = [
        (kind, price_of(body, name, market), name, prefix)
        for kind, name, prefix in ((TAKE_PROFIT, "takeProfit", "tp"), (STOP_LOSS, "stopLoss", "sl"))
        if body.get(name) not in (None, "")
    ]
    for kind, price, name, _ in levels:
        stop.check(name, price, above=(kind == TAKE_PROFIT) == (position.size > 0))
    for kind, price, _, prefix in levels:
        changed |= stop.part(kind, price, prefix) if mode == "Partial" else stop.whole(kind, price, prefix)
    if body.get("trailingStop") not in (None, ""):
        changed |= stop.trail(price_of(body, "trailingStop", market), price_of(body, "activePrice", market))
    if not changed:
        raise RefusedError(34040, "not modified")
    request.engine.outbox.position(account, position)
    return {}


class _Stop:
    """One trading-stop request at work."""

    def __init__(self, request: Request, market: Market, position: Position, triggers: Triggers) -> None:
        self._request = request
        self._market = market
        self._position = position
        self._triggers = triggers
        self._now_ms = request.engine.now_ms()

    def check(self, name: str, price: Decimal, *, above: bool) -> None:
        """Raise RefusedError where a level lies on the wrong side of the price."""
        last = self._market.quotes.last()
        if price and (price <= last if above else price >= last):
            side, word = self._position.side, "higher" if above else "lower"
            raise RefusedError(
                PARAMETER, f"{name}:{price} set for {side} position should be {word} than {last}"
            )

    def whole(self, kind: str, price: Decimal, prefix: str) -> bool:
        """Set or take away the level of the whole position; return whether that is a change."""
        position = self._position
        before = position.take_profit if kind == TAKE_PROFIT else position.stop_loss
        if price == before:
            return False
        if not price:
            self._clear(kind)
            return True
        self._protect(kind, price, prefix)
        return True

    def _clear(self, kind: str) -> None:
        for one in self._triggers.of_position(self._request.account, self._position.idx, kind):
            self._triggers.cancel(one)

    def _protect(self, kind: str, price: Decimal, prefix: str, qty: Decimal = ZERO) -> None:
        body = self._request.body
        is_limit = one_of(body, f"{prefix}OrderType", ("Market", "Limit"), "Market") == "Limit"
        limit = price_of(body, f"{prefix}LimitPrice", self._market) if is_limit else ZERO
        if is_limit and not (limit and qty):
            raise RefusedError(
                PARAMETER, f"params error: Limit needs tpslMode Partial and {prefix}LimitPrice"
            )
        self._triggers.protect(
            self._request.account, self._position.idx, kind, price,
            one_of(body, f"{prefix}TriggerBy", TRIGGERS, "LastPrice"),
            now_ms=self._now_ms, qty=qty, limit_price=limit,
        )  # fmt: skip

    def part(self, kind: str, price: Decimal, prefix: str) -> bool:
        """Add a level for a part of the position."""
        if not price:
            return False
        qty = number(self._request.body.get(f"{prefix}Size"), f"{prefix}Size")
        if not 0 < qty <= abs(self._position.size) or qty % self._market.rules.step:
            raise RefusedError(PARAMETER, f"params error: {prefix}Size invalid {text(qty)}")
        self._protect(f"Partial{kind}", price, prefix, qty)
        return True

    def trail(self, distance: Decimal, active_price: Decimal) -> bool:
        """Set or take away the trailing stop."""
        if distance == self._position.trailing_stop and not active_price:
            return False
        self._clear(TRAILING)
        if distance:
            last = self._market.quotes.last()
            start = ZERO if active_price else last - distance if self._position.size > 0 else last + distance
            self._triggers.protect(
                self._request.account, self._position.idx, TRAILING, start, "LastPrice",
                now_ms=self._now_ms, trail=distance, active_price=active_price,
            )  # fmt: skip
        return True


def set_limit_price_action(request: Request) -> Result:
    """/v5/account/set-limit-px-action: `modifyEnable` false refuses contracts' prices outside the band."""
    enable = request.body.get("modifyEnable")
    if not isinstance(enable, bool):
        raise RefusedError(PARAMETER, "params error: modifyEnable invalid")
    if request.category == "linear" or request.category == "inverse":
        request.account.rejects_outside_band = not enable
    return {}


POSITION_OPERATIONS: dict[str, Operation] = {
    "position/set-leverage": set_leverage,
    "position/switch-mode": switch_mode,
    "position/trading-stop": trading_stop,
    "account/set-limit-px-action": set_limit_price_action,
}
