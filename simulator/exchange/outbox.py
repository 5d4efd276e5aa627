"""What the accounts are to be told by their private streams, gathered until it is sent."""

from collections.abc import Callable
from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.executions import Execution
from simulator.exchange.orders import Order
from simulator.exchange.positions import Position

Publish = Callable[[Account, str, str, list[dict[str, Any]]], None]
"""Sends the rows of one topic and category."""

Row = tuple[str, dict[str, Any]]


class Outbox:
    """Rows by topic, in order. Positions and wallets are shown as they are when it is sent."""

    def __init__(
        self,
        publish: Publish,
        position_row: Callable[[Account, Position], dict[str, Any]],
        wallet_row: Callable[[Account], dict[str, Any]],
    ) -> None:
        self._publish = publish
        self._position_row = position_row
        self._wallet_row = wallet_row
        self._rows: dict[tuple[Account, str], list[Row]] = {}
        self._positions: dict[tuple[Account, Position], None] = {}
        self._wallets: dict[Account, None] = {}

    def _add(self, account: Account, topic: str, category: str, row: dict[str, Any]) -> None:
        self._rows.setdefault((account, topic), []).append((category, row))

    def order(self, order: Order) -> None:
        """An order has changed."""
        if order.category == "spread":
            self._add(order.account, "spread.order", "combination", order.row())
        else:
            self._add(order.account, "order", order.category, order.row())

    def execution(self, execution: Execution) -> None:
        """An order has filled."""
        account, category = execution.order.account, execution.order.category
        if category == "spread":
            self._add(account, "spread.execution", "combination", execution.row())
            return
        if execution.kind == "Trade":
            self._add(account, "execution.fast", category, execution.fast_row())
        self._add(account, "execution", category, execution.row())

    def position(self, account: Account, position: Position) -> None:
        """A position has changed, or something about its orders has."""
        self._positions[account, position] = None

    def wallet(self, account: Account) -> None:
        """A balance or a margin has changed."""
        self._wallets[account] = None

    def send(self) -> None:
        """Send everything, a frame a topic and category."""
        rows, self._rows = self._rows, {}
        for (account, topic), found in rows.items():
            for category in dict.fromkeys(one for one, _ in found):
                self._publish(account, topic, category, [row for one, row in found if one == category])
        positions, self._positions = self._positions, {}
        for account, position in positions:
            self._publish(account, "position", position.category, [self._position_row(account, position)])
        wallets, self._wallets = self._wallets, {}
        for account in wallets:
            self._publish(account, "wallet", "", [self._wallet_row(account)])
