"""Spread orders: the venue takes them over REST only. Spread market data is `engine.bybit.market_rest`."""

from collections.abc import Mapping
from typing import Any, Final

from engine.bybit.http import Http, RestAnswer, rows
from engine.bybit.wire import AMEND_FIELDS, CANCEL_FIELDS, ORDER_FIELDS, body, query

__all__ = ["SpreadRest"]

ROWS_PER_PAGE: Final = 50


class SpreadRest:
    """Places, amends, cancels and asks for spread orders. Fields have our names, as in `TradeRest`."""

    def __init__(self, http: Http, *, recv_window_ms: int = 0) -> None:
        self._http = http
        self._recv_window_ms = recv_window_ms

    async def create(self, symbol: str, fields: Mapping[str, object]) -> RestAnswer:
        """Place an order; the result has ``orderId`` and ``orderLinkId``."""
        return await self._send("create", {"symbol": symbol, **body(fields, ORDER_FIELDS)})

    async def amend(self, symbol: str, fields: Mapping[str, object]) -> RestAnswer:
        """Change price or quantity of an order."""
        return await self._send("amend", {"symbol": symbol, **body(fields, AMEND_FIELDS)})

    async def cancel(self, fields: Mapping[str, object]) -> RestAnswer:
        """Cancel an order, named by ``order_id`` or ``order_link_id``."""
        return await self._send("cancel", body(fields, CANCEL_FIELDS))

    async def cancel_all(self, symbol: str = "") -> RestAnswer:
        """Cancel the orders of a spread, or of all."""
        return await self._send("cancel-all", {"symbol": symbol} if symbol else {"cancelAll": True})

    async def open_orders(self, symbol: str = "", *, order_link_id: str = "") -> list[Mapping[str, Any]]:
        """Return the orders that are open, all pages."""
        asked = query(symbol=symbol, order_link_id=order_link_id, limit=ROWS_PER_PAGE)
        return await self._all("/v5/spread/order/realtime", asked)

    async def order_history(
        self, symbol: str = "", *, order_link_id: str = "", start_ms: int = 0, end_ms: int = 0
    ) -> list[Mapping[str, Any]]:
        """Return past orders, all pages."""
        asked = query(
            symbol=symbol,
            order_link_id=order_link_id,
            start_time=start_ms,
            end_time=end_ms,
            limit=ROWS_PER_PAGE,
        )
        return await self._all("/v5/spread/order/history", asked)

    async def executions(
        self, symbol: str = "", *, order_link_id: str = "", start_ms: int = 0, end_ms: int = 0
    ) -> list[Mapping[str, Any]]:
        """Return executions with their legs, all pages."""
        asked = query(
            symbol=symbol,
            order_link_id=order_link_id,
            start_time=start_ms,
            end_time=end_ms,
            limit=ROWS_PER_PAGE,
        )
        return await self._all("/v5/spread/execution/list", asked)

    async def _send(self, verb: str, request: Mapping[str, object]) -> RestAnswer:
        path = f"/v5/spread/order/{verb}"
        return await self._http.post(path, request, recv_window_ms=self._recv_window_ms)

    async def _all(self, path: str, asked: Mapping[str, str]) -> list[Mapping[str, Any]]:
        return [row async for page in self._http.pages(path, asked, signed=True) for row in rows(page)]
