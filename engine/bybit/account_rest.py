"""Positions, wallet and account over REST: one method an endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.bybit.http import Http, rows
from engine.bybit.wire import TRADING_STOP_FIELDS, body, query
from engine.errors import RetCodeError

__all__ = ["AccountRest"]

POSITIONS_PER_PAGE: Final = 200
PNL_PER_PAGE: Final = 100
INSTRUMENTS_PER_PAGE: Final = 200

# It was so already: what was asked for is the case.
UNCHANGED_CODES: Final = frozenset({110025, 110026, 110027, 110043, 34040})


class AccountRest:
    """Asks for positions, wallet and account, and sets what can be set.

    What sets something returns whether that changed anything.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    async def positions(
        self, category: str, symbol: str = "", *, settle_coin: str = "", base_coin: str = ""
    ) -> list[Mapping[str, Any]]:
        """Return positions, all pages. By symbol also flat ones (two rows in hedge mode); on linear one of
        ``symbol`` and ``settle_coin`` must be named."""
        asked = query(
            category=category,
            symbol=symbol,
            settle_coin=settle_coin,
            base_coin=base_coin,
            limit=POSITIONS_PER_PAGE,
        )
        return await self._all("/v5/position/list", asked)

    async def set_leverage(self, category: str, symbol: str, leverage: object, sell: object = None) -> bool:
        """Set the leverage, of both sides unless ``sell`` is another."""
        fields = {
            "category": category,
            "symbol": symbol,
            "buy_leverage": leverage,
            "sell_leverage": leverage if sell is None else sell,
        }
        return await self._set("/v5/position/set-leverage", fields)

    async def switch_mode(self, symbol: str = "", *, coin: str = "", is_hedge: bool) -> bool:
        """Hold one position a symbol, or one a side, of a symbol or of all of a coin; linear only."""
        fields = {"category": "linear", "symbol": symbol, "coin": coin, "mode": 3 if is_hedge else 0}
        return await self._set("/v5/position/switch-mode", fields)

    async def trading_stop(self, category: str, symbol: str, fields: Mapping[str, object]) -> bool:
        """Set take profit, stop loss or trailing stop of a position; "0" takes one away.

        ``tpsl_mode`` (``Full`` unless told) and ``position_idx`` (0 unless told) say of what.
        """
        given = {"tpsl_mode": "Full", "position_idx": 0, **fields}
        request = {"category": category, "symbol": symbol, **body(given, TRADING_STOP_FIELDS)}
        return await self._post("/v5/position/trading-stop", request)

    async def closed_pnl(
        self, category: str, symbol: str = "", *, start_ms: int = 0, end_ms: int = 0
    ) -> list[Mapping[str, Any]]:
        """Return what closed positions made, all pages; at most seven days at once."""
        asked = query(
            category=category, symbol=symbol, start_time=start_ms, end_time=end_ms, limit=PNL_PER_PAGE
        )
        return await self._all("/v5/position/closed-pnl", asked)

    async def wallet(self, coins: Sequence[str] = ()) -> Mapping[str, Any]:
        """Return the unified wallet: totals, and ``coin`` with a row each; without names what is not zero."""
        answer = await self._http.get(
            "/v5/account/wallet-balance", query(account_type="UNIFIED", coin=",".join(coins)), signed=True
        )
        found = rows(answer)
        return found[0] if found else {}

    async def info(self) -> Mapping[str, Any]:
        """Return the account's margin mode and kind."""
        return await self._get("/v5/account/info", {})

    async def fee_rates(
        self, category: str, symbol: str = "", *, base_coin: str = ""
    ) -> list[Mapping[str, Any]]:
        """Return maker and taker fees; not on demo."""
        asked = query(category=category, symbol=symbol, base_coin=base_coin)
        return rows(await self._http.get("/v5/account/fee-rate", asked, signed=True))

    async def instruments(self, category: str, symbol: str = "") -> list[Mapping[str, Any]]:
        """Return what this account may trade, all pages: spot, linear and inverse."""
        asked = query(category=category, symbol=symbol, limit=INSTRUMENTS_PER_PAGE)
        return await self._all("/v5/account/instruments-info", asked)

    async def settings(self) -> Mapping[str, Any]:
        """Return the account's settings; ``lpaSpot`` adjusts a price, ``lpaPerp`` refuses it."""
        return await self._get("/v5/account/user-setting-config", {})

    async def set_limit_price_action(self, category: str, *, is_adjusted: bool) -> bool:
        """Have limit prices out of bounds adjusted, or refused; futures adjust them unless told."""
        request = {"category": category, "modifyEnable": is_adjusted}
        return await self._post("/v5/account/set-limit-px-action", request)

    async def disconnect_cancel_all(self) -> list[Mapping[str, Any]]:
        """Return by product whether the venue cancels on disconnect, and after how long."""
        found = (await self._get("/v5/account/query-dcp-info", {})).get("dcpInfos")
        return found if isinstance(found, list) else []

    async def key(self) -> Mapping[str, Any]:
        """Return what the venue knows of the key: permissions, addresses, expiry."""
        return await self._get("/v5/user/query-api", {})

    async def rate_limits(self, user_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the account's own allowances."""
        asked = query(uids=",".join(user_ids))
        return rows(await self._http.get("/v5/apilimit/query", asked, signed=True))

    async def _get(self, path: str, asked: Mapping[str, str]) -> Mapping[str, Any]:
        return (await self._http.get(path, asked, signed=True)).result

    async def _all(self, path: str, asked: Mapping[str, str]) -> list[Mapping[str, Any]]:
        return [row async for page in self._http.pages(path, asked, signed=True) for row in rows(page)]

    async def _set(self, path: str, fields: Mapping[str, object]) -> bool:
        return await self._post(path, body(fields))

    async def _post(self, path: str, request: Mapping[str, object]) -> bool:
        try:
            await self._http.post(path, request)
        except RetCodeError as error:
            if error.ret_code not in UNCHANGED_CODES:
                raise
            return False
        return True
