"""docs/guarantees.md, read: what is promised of each fault."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final

__all__ = ["KINDS", "Promise", "PromiseError", "read_promises"]

HEADING: Final = "| fault | topics |"
COLUMNS: Final = 6
OUTCOME: Final = re.compile(r"(perhaps gap|gap|event|counted) (`\w+`(?: or `\w+`)*)")
SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?) s")
PERHAPS: Final = "perhaps gap"
NOTHING: Final = "nothing lost"

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "book": "orderbook.{depth}.",
        "level1": "orderbook.1.",
        "trades": "publicTrade.",
        "tickers": "tickers.",
        "klines": "kline.1.",
        "liquidations": "allLiquidation.",
        "symbol": "",
        "connection": "",
        "requests": "",
        "legs": "",
    }
)
"""Kinds of topics, and how the names of their topics begin; those of no kind of topic concern all."""


class PromiseError(ValueError):
    """A row of the table cannot be read."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A row of the table, for one kind of topic.

    ``outcomes`` are (gap, event or counted; names of which one must come), ``may`` the causes of further gaps
    that may come. ``within_s`` counts from the fault, ``back_s`` from its end until every topic is in step.
    """

    fault: str
    kind: str
    outcomes: tuple[tuple[str, tuple[str, ...]], ...]
    within_s: float
    back_s: float
    may: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name in the catalogue."""
        return f"{self.fault}.{self.kind}"

    @property
    def gaps(self) -> frozenset[str]:
        """Causes of the gaps that may be; empty: there must be none."""
        return self.may.union(*(names for what, names in self.outcomes if what == "gap"))


def read_promises(text: str | None = None) -> dict[str, Promise]:
    """Return the promises of the document by name. Raises PromiseError naming the row."""
    if text is None:
        text = resources.files("chaos").joinpath("guarantees.md").read_text(encoding="utf-8")
    promises: dict[str, Promise] = {}
    is_table = False
    for line in text.splitlines():
        if line.startswith(HEADING):
            is_table = True
        elif not line.startswith("|"):
            is_table = False
        elif is_table and not line.startswith("|---"):
            for promise in _row(line):
                if promise.name in promises:
                    raise PromiseError(f"{promise.name} is promised twice")
                promises[promise.name] = promise
    return promises


def _row(line: str) -> list[Promise]:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != COLUMNS:
        raise PromiseError(f"a row has {COLUMNS} cells, this one {len(cells)}: {line}")
    fault, kinds, _, within, becomes, back = cells
    named = [
        (what, tuple(name.strip("`") for name in names.split(" or ")))
        for what, names in OUTCOME.findall(becomes)
    ]
    outcomes = tuple(outcome for outcome in named if outcome[0] != PERHAPS)
    may = frozenset(name for what, names in named if what == PERHAPS for name in names)
    if not outcomes and NOTHING not in becomes:
        raise PromiseError(f"{fault}: what becomes of it was {becomes!r}: gap, event, counted or {NOTHING}")
    unknown = set(kinds.split(", ")) - KINDS.keys()
    if unknown:
        raise PromiseError(f"{fault}: topics were {sorted(unknown)}; there are {', '.join(KINDS)}")
    return [
        Promise(fault.strip("`"), kind, outcomes, _seconds(fault, within), _seconds(fault, back), may)
        for kind in kinds.split(", ")
    ]


def _seconds(fault: str, cell: str) -> float:
    found = SECONDS.fullmatch(cell)
    if found is None:
        raise PromiseError(f"{fault}: a time was {cell!r}; write it as in '2 s'")
    return float(found[1])
