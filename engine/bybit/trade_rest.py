"""Orders over REST: one method an endpoint. An answer without an error means accepted, not placed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.bybit.http import Http, RestAnswer, rows
from engine.bybit.wire import AMEND_FIELDS, CANCEL_FIELDS, ORDER_FIELDS, body, query

__all__ = ["TradeRest"]

ORDERS_PER_PAGE: Final = 50
EXECUTIONS_PER_PAGE: Final = 100

Fields = Mapping[str, object]


class TradeRest:
    """Places, amends, cancels and asks for orders. Fields have our names: ``order_type``, ``time_in_force``.

    What ``create``, ``amend`` and their batches raise may leave open what became of the order
    (`engine.bybit.http.is_surely_refused`, and the codes of `engine.orders`): ask before anything else.
    ``recv_window_ms`` is that of what changes orders, unless it is 0: a short one makes "not found" prove
    something soon.
    """

    def __init__(self, http: Http, *, recv_window_ms: int = 0) -> None:
        self._http = http
        self._recv_window_ms = recv_window_ms

    async def create(self, category: str, symbol: str, fields: Fields) -> RestAnswer:
        """Place an order; the result has ``orderId`` and ``orderLinkId``."""
        return await self._send("/v5/order/create", one(category, symbol, fields, ORDER_FIELDS))

    async def amend(self, category: str, symbol: str, fields: Fields) -> RestAnswer:
        """Change an order, named by ``order_id`` or ``order_link_id``; ``qty`` is the new total."""
        return await self._send("/v5/order/amend", one(category, symbol, fields, AMEND_FIELDS))

    async def cancel(self, category: str, symbol: str, fields: Fields) -> RestAnswer:
        """Cancel an order, named by ``order_id`` or ``order_link_id``."""
        return await self._send("/v5/order/cancel", one(category, symbol, fields, CANCEL_FIELDS))

    async def cancel_all(
        self,
        category: str,
        symbol: str = "",
        *,
        base_coin: str = "",
        settle_coin: str = "",
        order_filter: str = "",
        stop_order_type: str = "",
    ) -> RestAnswer:
        """Cancel the orders of a symbol, or of a coin; on futures one of them must be named."""
        fields = {
            "category": category,
            "symbol": symbol,
            "base_coin": base_coin,
            "settle_coin": settle_coin,
            "order_filter": order_filter,
            "stop_order_type": stop_order_type,
        }
        return await self._send("/v5/order/cancel-all", body(fields))

    async def create_batch(self, category: str, orders: Sequence[tuple[str, Fields]]) -> RestAnswer:
        """Place orders, each a symbol and its fields; ``ext["list"]`` has what became of each."""
        return await self._send("/v5/order/create-batch", many(category, orders, ORDER_FIELDS))

    async def amend_batch(self, category: str, orders: Sequence[tuple[str, Fields]]) -> RestAnswer:
        """Change orders, each a symbol and its fields."""
        return await self._send("/v5/order/amend-batch", many(category, orders, AMEND_FIELDS))

    async def cancel_batch(self, category: str, orders: Sequence[tuple[str, Fields]]) -> RestAnswer:
        """Cancel orders, each a symbol and its fields."""
        return await self._send("/v5/order/cancel-batch", many(category, orders, CANCEL_FIELDS))

    async def pre_check(self, category: str, symbol: str, fields: Fields) -> Mapping[str, Any]:
        """Say what margin an order would take, before and after, in 1e-4."""
        path = "/v5/order/pre-check"
        return (await self._send(path, one(category, symbol, fields, ORDER_FIELDS))).result

    async def open_orders(
        self,
        category: str,
        symbol: str = "",
        *,
        base_coin: str = "",
        settle_coin: str = "",
        order_link_id: str = "",
        order_id: str = "",
        order_filter: str = "",
        with_closed: bool = False,
    ) -> list[Mapping[str, Any]]:
        """Return the orders that are open, all pages; ``with_closed``: those that closed lately instead."""
        asked = query(
            category=category,
            symbol=symbol,
            base_coin=base_coin,
            settle_coin=settle_coin,
            order_link_id=order_link_id,
            order_id=order_id,
            order_filter=order_filter,
            open_only=int(with_closed),
            limit=ORDERS_PER_PAGE,
        )
        return await self._all("/v5/order/realtime", asked)

    async def order_history(
        self,
        category: str,
        symbol: str = "",
        *,
        order_link_id: str = "",
        order_id: str = "",
        order_status: str = "",
        start_ms: int = 0,
        end_ms: int = 0,
    ) -> list[Mapping[str, Any]]:
        """Return past orders, all pages; at most seven days at once. What was just closed may be late."""
        asked = query(
            category=category,
            symbol=symbol,
            order_link_id=order_link_id,
            order_id=order_id,
            order_status=order_status,
            start_time=start_ms,
            end_time=end_ms,
            limit=ORDERS_PER_PAGE,
        )
        return await self._all("/v5/order/history", asked)

    async def executions(
        self,
        category: str,
        symbol: str = "",
        *,
        order_link_id: str = "",
        order_id: str = "",
        exec_type: str = "",
        start_ms: int = 0,
        end_ms: int = 0,
    ) -> list[Mapping[str, Any]]:
        """Return executions, the newest first, all pages; an order's id makes the venue ignore the rest."""
        asked = query(
            category=category,
            symbol=symbol,
            order_link_id=order_link_id,
            order_id=order_id,
            exec_type=exec_type,
            start_time=start_ms,
            end_time=end_ms,
            limit=EXECUTIONS_PER_PAGE,
        )
        return await self._all("/v5/execution/list", asked)

    async def set_disconnect_cancel_all(self, window_s: int, product: str = "DERIVATIVES") -> None:
        """Have the venue cancel after so long without a private connection: 3 to 300 s, institutions only."""
        fields = {"time_window": window_s, "product": product}
        await self._http.post("/v5/order/disconnected-cancel-all", body(fields))

    async def _send(self, path: str, request: Mapping[str, object]) -> RestAnswer:
        return await self._http.post(path, request, recv_window_ms=self._recv_window_ms)

    async def _all(self, path: str, asked: Mapping[str, str]) -> list[Mapping[str, Any]]:
        return [row async for page in self._http.pages(path, asked, signed=True) for row in rows(page)]


def one(category: str, symbol: str, fields: Fields, known: frozenset[str]) -> dict[str, object]:
    """Return the request for one order, of REST and of order entry alike."""
    return {"category": category, "symbol": symbol, **body(fields, known)}


def many(category: str, orders: Sequence[tuple[str, Fields]], known: frozenset[str]) -> dict[str, object]:
    """Return the request for a batch."""
    listed = [{"symbol": symbol, **body(fields, known)} for symbol, fields in orders]
    return {"category": category, "request": listed}
