"""``tapehead symbols``: what the venue lists, searched and ranked."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from engine.bybit import instruments, turnover
from engine.bybit.instruments import Instrument, Reading
from engine.bybit.rest import RestClient
from engine.errors import ConfigError, nearest
from engine.selection import Rule, has_data, is_pattern, matches
from recorder.commands.options import AsJson
from recorder.output import Output

__all__ = ["symbols"]

COLUMNS: Final = (
    "symbol",
    "category",
    "status",
    "contract_type",
    "base_coin",
    "quote_coin",
    "settle_coin",
    "price_tick",
    "size_step",
    "launch",
    "delivery",
    "turnover_24h",
)
ANY_STATUS: Final = "all"


def symbols(
    search: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATTERN]...", help="Names, parts of names, patterns: BTC*."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="spot, linear, inverse, option or spread; may be repeated. [default: linear]"),
    ] = None,
    base: Annotated[list[str] | None, typer.Option(help="Base coin; may be repeated.")] = None,
    quote: Annotated[list[str] | None, typer.Option(help="Quote coin; may be repeated.")] = None,
    settle: Annotated[list[str] | None, typer.Option(help="Settle coin; may be repeated.")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(help="A status, or all; may be repeated. [default: what may have data]"),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Only so many, by turnover.")] = 0,
    environment: Annotated[str, typer.Option(help="mainnet or testnet.")] = "mainnet",
    region: Annotated[str, typer.Option(help="A region's own hosts: eu, tr, kz, ...")] = "",
    rest_url: Annotated[
        str | None, typer.Option(help="Base of the REST interface, in place of the environment's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what can be recorded: symbols with their coins, grids and dates."""
    rules = [
        Rule(
            category=one,
            symbols=tuple(_pattern(word) for word in search or ("*",)),
            base=tuple(base or ()),
            quote=tuple(quote or ()),
            settle=tuple(settle or ()),
            top=top,
        )
        for one in dict.fromkeys(category or ("linear",))
    ]
    client = RestClient(environment, region=region, url=rest_url)
    found, listed = asyncio.run(_ask(client, rules, status or []))
    output = Output(as_json=as_json)
    rows = [_row(one, turnover_24h) for one, turnover_24h in found]
    columns = COLUMNS if top else COLUMNS[:-1]
    if rows:
        output.table(columns, [[row[name] for name in columns] for row in rows], right=("turnover_24h",))
    output.say(f"{len(rows)} of {len(listed)} symbols{_hint(rows, search or [], listed)}")
    output.result({"symbols": rows, "listed": len(listed)})


async def _ask(
    client: RestClient, rules: Iterable[Rule], statuses: list[str]
) -> tuple[list[tuple[Instrument, Decimal]], list[str]]:
    """Return what matches with its turnover, where it was asked for, and the names of all that was read."""
    found: list[tuple[Instrument, Decimal]] = []
    listed: list[str] = []
    async with client as venue:
        for rule in rules:
            reading = await instruments.read(venue, rule.category, coins=rule.base)
            _check_statuses(statuses, reading)
            chosen = [
                one
                for one in reading.instruments.values()
                if matches(rule, one) and _has_status(one, statuses)
            ]
            ranks = await _turnovers(venue, reading) if rule.top else {}
            ranked = [(one, ranks.get(one.symbol, Decimal(0))) for one in chosen]
            ranked.sort(key=lambda pair: (-pair[1], pair[0].symbol))
            found += ranked[: rule.top or None]
            listed += reading.instruments
    return found, listed


async def _turnovers(venue: RestClient, reading: Reading) -> dict[str, Decimal]:
    tickers = await turnover.read_tickers(venue, reading)
    return turnover.turnovers(reading.category, tickers, reading.instruments)


def _pattern(word: str) -> str:
    return word.upper() if is_pattern(word) else f"*{word.upper()}*"


def _check_statuses(statuses: Iterable[str], reading: Reading) -> None:
    known = {ANY_STATUS, *instruments.STATUSES, *(one.status for one in reading.instruments.values())}
    for status in statuses:
        if status not in known:
            similar = nearest(status, known) or tuple(sorted(known))
            raise ConfigError("status", status, "there is no such status", "use " + " or ".join(similar))


def _has_status(one: Instrument, statuses: list[str]) -> bool:
    return one.status in statuses or ANY_STATUS in statuses or (not statuses and has_data(one))


def _row(one: Instrument, turnover_24h: Decimal) -> dict[str, Any]:
    return {
        "symbol": one.symbol,
        "category": one.category,
        "status": " ".join(part for part in (one.status, one.phase) if part),
        "contract_type": one.contract_type,
        "base_coin": one.base_coin,
        "quote_coin": one.quote_coin,
        "settle_coin": one.settle_coin,
        "price_tick": one.price_tick,
        "size_step": one.size_step,
        "launch": _date(one.launch_ms),
        "delivery": _date(one.delivery_ms),
        "turnover_24h": f"{turnover_24h:.0f}",
    }


def _date(time_ms: int) -> str | None:
    if not time_ms:
        return None
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _hint(rows: list[dict[str, Any]], search: list[str], listed: list[str]) -> str:
    similar = nearest(search[0], listed) if search and not rows else ()
    return f"; the nearest: {', '.join(similar)}" if similar else ""
