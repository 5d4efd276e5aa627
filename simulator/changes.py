"""What happens to a market as a whole, for all connections and REST alike."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from simulator.faults import Change
from simulator.instruments import Listing, listing
from simulator.live import LiveMarket
from simulator.notices import Notices


class Markets(Protocol):
    """The listings and markets of a source, by (category, symbol)."""

    listings: dict[tuple[str, str], Listing]
    markets: dict[tuple[str, str], LiveMarket]
    notices: Notices

    def make_market(self, listing: Listing) -> LiveMarket:
        """Return a new market."""

    def now_ms(self) -> int:
        """Return the market time."""


def _each(act: Callable[[LiveMarket, dict[str, Any]], None]) -> Callable[[Markets, Change], None]:
    """Return a change of the symbol that is named; of every market of its category where the name is `*`."""

    def change(source: Markets, change: Change) -> None:
        for (category, symbol), market in list(source.markets.items()):
            if category == change.category and change.symbol in ("*", symbol):
                act(market, change.values)

    return change


def _restart_lower(market: LiveMarket, values: dict[str, Any]) -> None:
    market.renumber(2 + min(lane.stream.u for lane in market.lanes) // 2)


def _jump(market: LiveMarket, values: dict[str, Any]) -> None:
    for lane in market.lanes:
        lane.stream.u += values["by"]


def _list(source: Markets, change: Change) -> None:
    key = (change.category, change.symbol)
    source.listings[key] = listing(f"{change.category}:{change.symbol}")


def _delist(source: Markets, change: Change) -> None:
    key = (change.category, change.symbol)
    if key not in source.markets:
        return
    source.markets.pop(key).close_down()
    old = source.listings[key]
    source.listings[key] = replace(old, instrument=replace(old.instrument, status="Closed"))


def _regrid(source: Markets, change: Change) -> None:
    """Begin the market anew on a coarser grid, at about its old price."""
    key, factor = (change.category, change.symbol), max(1, int(change.values["factor"]))
    if key not in source.markets:
        return
    old = source.listings[key]
    one = old.instrument
    if change.name == "tick_change":
        new = replace(old, instrument=replace(one, tick=one.tick * factor), mid_ticks=old.mid_ticks // factor)
    else:
        size = max(1, old.size_steps // factor)
        new = replace(old, instrument=replace(one, step=one.step * factor), size_steps=size)
    source.listings[key] = new
    before = source.markets[key]
    source.markets[key] = source.make_market(new)
    source.markets[key].follow(before)


def _announce(source: Markets, change: Change) -> None:
    source.notices.announce(change.values["title"], change.values["state"], source.now_ms())


CHANGES: dict[str, Callable[[Markets, Change], None]] = {
    "restart": _each(lambda market, _: market.renumber(1)),
    "restart_without_u1": _each(_restart_lower),
    "u_jump": _each(_jump),
    "snapshot_midstream": _each(lambda market, _: market.renumber(None)),
    "quiet": _each(lambda market, values: market.be_quiet(values["ms"])),
    "listing": _list,
    "delisting": _delist,
    "tick_change": _regrid,
    "lot_change": _regrid,
    "maintenance": _announce,
}
