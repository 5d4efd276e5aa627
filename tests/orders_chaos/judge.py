"""Holds what clients noted against what the exchange logged. Pure: lists of lines in, failures out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

Line = Mapping[str, Any]

FINAL = {
    "FILLED": {"Filled"},
    "CANCELLED": {"Cancelled", "PartiallyFilledCanceled"},
    "REJECTED": {"Rejected"},
    "DEACTIVATED": {"Deactivated"},
}
OPEN = frozenset({"New", "PartiallyFilled", "Untriggered", "Created"})


def judge(
    notes: Sequence[Line], log: Sequence[Line], exchange: Line, *, position_max: Decimal, open_max: int
) -> list[str]:
    """Return everything in which clients and exchange differ, and every limit that was passed."""
    orders = [line for line in log if line["what"] == "order"]
    return [
        *duplicates(notes, orders),
        *contradictions(notes, orders),
        *excesses(log, position_max, open_max),
        *leftovers(notes, exchange),
        *differences(notes, log, exchange),
    ]


def duplicates(notes: Sequence[Line], orders: Sequence[Line]) -> Iterable[str]:
    """Two orders for one intent, two for one want, and orders that nobody noted."""
    sent = [line for line in notes if line["what"] == "sent"]
    wants = {line["link"]: line["want"] for line in sent}
    for link, times in Counter(line["link"] for line in sent).items():
        if times > 1:
            yield f"{link} was given to {times} intents"
    by_link: dict[str, set[str]] = defaultdict(set)
    for line in orders:
        by_link[line["orderLinkId"]].add(line["orderId"])
    placed: dict[int, list[str]] = defaultdict(list)
    for link, ids in by_link.items():
        if len(ids) > 1:
            yield f"{link} is {len(ids)} orders"
        if link not in wants:
            yield f"{link} was placed and nobody noted that"
        else:
            placed[wants[link]].append(link)
    for want, links in placed.items():
        if len(links) > 1:
            yield f"want {want} was placed {len(links)} times: {links}"


def contradictions(notes: Sequence[Line], orders: Sequence[Line]) -> Iterable[str]:
    """What a client said for good of an order, in whichever life, and the exchange knows otherwise."""
    status = {line["orderLinkId"]: line["status"] for line in orders}
    for line in notes:
        link = line.get("link", "")
        if line["what"] == "unsent" and link in status:
            yield f"{link} was called unsent and is {status[link]}"
        if line["what"] != "state":
            continue
        if line["state"] == "NOT_PLACED" and link in status:
            yield f"{link} was called not placed and is {status[link]}"
        if line["state"] in FINAL and status.get(link) not in FINAL[line["state"]]:
            yield f"{link} was called {line['state']} and is {status.get(link)}"


def excesses(log: Sequence[Line], position_max: Decimal, open_max: int) -> Iterable[str]:
    """Moments at which what is held, with what is open on one side, was more than allowed."""
    position = Decimal(0)
    left: dict[str, tuple[str, Decimal]] = {}
    for number, line in enumerate(log):
        if line["what"] == "fill" and line["execType"] == "Trade":
            qty = Decimal(line["qty"])
            position += qty if line["side"] == "Buy" else -qty
            if (known := left.get(line["orderId"])) is not None:
                left[line["orderId"]] = (known[0], max(Decimal(0), known[1] - qty))
        elif line["what"] == "order" and line["status"] in OPEN:
            left[line["orderId"]] = (line["side"], Decimal(line["left"]))
        elif line["what"] == "order":
            left.pop(line["orderId"], None)
        bought = sum((qty for side, qty in left.values() if side == "Buy"), Decimal(0))
        sold = sum((qty for side, qty in left.values() if side == "Sell"), Decimal(0))
        if position + bought > position_max or sold - position > position_max:
            yield f"line {number}: {position} held, {bought} bid, {sold} offered: above {position_max}"
        if len(left) > open_max:
            yield f"line {number}: {len(left)} orders are open, more than {open_max}"


def leftovers(notes: Sequence[Line], exchange: Line) -> Iterable[str]:
    """Orders that are open though all but those of the end (whose wants are below 0) were cancelled."""
    kept = {line["link"] for line in notes if line["what"] == "sent" and line["want"] < 0}
    for row in exchange["live"]:
        if row["orderLinkId"] not in kept:
            yield f"{row['orderLinkId']} is open, and all that were known were cancelled"


def differences(notes: Sequence[Line], log: Sequence[Line], exchange: Line) -> Iterable[str]:
    """The account as its client told it last, and as the exchange has it."""
    told = [line for line in notes if line["what"] == "account"]
    if len(told) != 1:
        yield f"the client told {len(told)} times how it ended"
        return
    (client,) = told
    live = {row["orderLinkId"]: [row["qty"], row["price"], row["cumExecQty"]] for row in exchange["live"]}
    if _numbers(client["live"]) != _numbers(live):
        yield f"open orders: the client has {client['live']}, the exchange {live}"
    held = sum((Decimal(one["size"]) for one in exchange["positions"]), Decimal(0))
    if Decimal(client["position"]) != held:
        yield f"position: the client has {client['position']}, the exchange {held}"
    if Decimal(client["balance"]) != Decimal(exchange["balances"]["USDT"]):
        yield f"balance: the client has {client['balance']}, the exchange {exchange['balances']['USDT']}"
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for line in log:
        if line["what"] == "fill" and line["execType"] == "Trade":
            filled[line["orderLinkId"]] += Decimal(line["qty"])
    for link, (state, settled) in client["known"].items():
        if Decimal(settled) != filled[link]:
            yield f"{link} ({state}): the client counted {settled} filled, the exchange {filled[link]}"


def _numbers(rows: Mapping[str, Sequence[Any]]) -> dict[str, list[Decimal]]:
    return {link: [Decimal(value or 0) for value in values] for link, values in rows.items()}
