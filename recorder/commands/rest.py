"""``tapehead rest``: ask any public endpoint of the venue."""

import asyncio
from typing import Annotated, Any, Final

import orjson
import typer

from engine.bybit.http import Http, rows
from engine.errors import UsageError

__all__ = ["rest"]

PREFIX: Final = "/v5/"
SIGNED: Final = (
    "order/",
    "execution/",
    "position/",
    "account/",
    "user/",
    "asset/",
    "apilimit/",
    "spread/order/",
    "spread/execution/",
)


def rest(
    path: Annotated[str, typer.Argument(help="An endpoint, as in /v5/market/tickers or market/tickers.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Its parameters: category=linear symbol=BTCUSDT."),
    ] = None,
    every_page: Annotated[bool, typer.Option("--all", help="Follow the pages of a list to its end.")] = False,
    environment: Annotated[str, typer.Option(help="mainnet, testnet or demo.")] = "mainnet",
    region: Annotated[str, typer.Option(help="A region's own hosts: eu, tr, kz, ...")] = "",
    rest_url: Annotated[
        str | None, typer.Option(help="Base of the REST interface, in place of the environment's.")
    ] = None,
) -> None:
    """Print what the venue answers to a public request, as JSON."""
    full_path = PREFIX + path.removeprefix("/").removeprefix("v5/")
    if full_path.removeprefix(PREFIX).startswith(SIGNED):
        problem = f"{full_path} needs a key, and this command asks without one"
        raise UsageError(problem, "use engine.orders, see docs/orders.md")
    query = dict(_pair(text) for text in parameters or [])
    result = asyncio.run(_ask(Http(environment, region=region, url=rest_url), full_path, query, every_page))
    typer.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())


async def _ask(http: Http, path: str, query: dict[str, str], every_page: bool) -> Any:
    async with http:
        if not every_page:
            return (await http.get(path, query)).result
        pages = [page async for page in http.pages(path, query)]
    return {**pages[-1].result, "list": [row for page in pages for row in rows(page)]}


def _pair(text: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not is_pair or not name:
        raise UsageError(f"{text!r} is no parameter", "write NAME=VALUE, as in symbol=BTCUSDT")
    return name, value
