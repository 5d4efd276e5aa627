"""What the venue lists: instruments of every category in one form, read to the end, and what became other.

Names are untrusted: a symbol that cannot be one, or an entry that cannot be read, is set aside and told apart
from what is listed. It is never asked for, and harms no other entry.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

import orjson

from engine.bybit import topics
from engine.errors import AnswerError, HttpStatusError, RetCodeError, TopicError

__all__ = [
    "CLOSED",
    "STATUSES",
    "Change",
    "Instrument",
    "Reading",
    "Refused",
    "Source",
    "changes",
    "number",
    "parse",
    "read",
    "sort_out",
]

CLOSED: Final = "Closed"
# In the order of a life: what changes its status while the pages are read is met twice, never missed.
STATUSES: Final = ("PreLaunch", "Trading", "Delivering", CLOSED)
# The venue names its option coins (`Source.option_coins`); these are asked for where it does not.
OPTION_COINS: Final = ("BTC", "ETH", "SOL")

INSTRUMENTS_MAX: Final = 100_000  # of one category
RAW_BYTES_MAX: Final = 64 * 1024  # of one instrument
REFUSED_SHOWN: Final = 48  # characters of a name that cannot be one
DECIMALS_MAX: Final = 18
INTEGER_DIGITS_MAX: Final = 20
NUMBER_CHARS_MAX: Final = 64
WORD_CHARS_MAX: Final = 64  # of a coin, a status
TIME_MS_MAX: Final = 1 << 43  # the year 2248
PARAMETERS_ERROR: Final = 10001

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument. ``price_scale`` and ``size_scale`` are the decimals of its tick and its step.

    Numbers are text as the venue spells it, None where it gives none. ``status`` and ``contract_type`` are
    the venue's words, new ones included. Sizes are base coin, on inverse USD. ``phase`` is the phase of a
    pre-listing, empty otherwise. ``delivery_ms`` is the delivery or delisting time, 0 where there is none.
    ``raw`` is the venue's own object with every field.
    """

    category: str
    symbol: str
    base_coin: str
    quote_coin: str
    settle_coin: str
    contract_type: str
    status: str
    phase: str
    price_tick: str
    size_step: str
    price_scale: int
    size_scale: int
    min_price: str | None
    max_price: str | None
    min_size: str | None
    max_size: str | None
    min_notional: str | None
    launch_ms: int
    delivery_ms: int
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def is_listed(self) -> bool:
        """Whether it exists as far as the venue says: every status but Closed, unknown ones included."""
        return self.status != CLOSED

    def dates_ms(self) -> list[int]:
        """Return the moments at which its status or phase is announced to change, ms since 1970."""
        info = self.raw.get("preListingInfo")
        phases = info.get("phases") if isinstance(info, Mapping) else None
        starts = [one.get("startTime") for one in phases or () if isinstance(one, Mapping)]
        dates = [self.launch_ms, self.delivery_ms, *map(_time_ms, starts)]
        return [date_ms for date_ms in dates if date_ms]


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that was set aside: its name as printable text, cut, and why."""

    category: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a category lists at one time: instruments by symbol, and the entries that were set aside."""

    category: str
    instruments: Mapping[str, Instrument]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two readings.

    ``kind`` is listed, delisted or instrument_changed; ``after`` is None where the venue dropped the symbol
    without a word. ``fields`` has old and new of each field that differs, by its dotted name.
    """

    kind: str
    category: str
    symbol: str
    before: Instrument | None
    after: Instrument | None
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def describe(self) -> str:
        """Return one line: the status of what came or went, old and new of what changed."""
        if self.kind == "instrument_changed":
            return ", ".join(f"{name} {old!r} -> {new!r}" for name, (old, new) in self.fields.items())
        return "not listed any more" if self.after is None else f"status {self.after.status}"


class Source(Protocol):
    """Whoever can ask the venue: `engine.bybit.rest.RestClient`."""

    async def instrument_list(
        self, category: str, *, base_coin: str = "", status: str = ""
    ) -> list[Mapping[str, Any]]:
        """Return the venue's objects, of every page."""

    async def option_coins(self) -> list[str]:
        """Return the base coins that have options."""


async def read(source: Source, category: str, *, coins: Iterable[str] = ()) -> Reading:
    """Read all that a category lists, of every status and page; ``coins`` are further option coins.

    Options that have expired are left out: there are tens of thousands. Raises PeerError.
    """
    topics.check_category(category)
    entries: list[Mapping[str, Any]] = []
    for base_coin in await _base_coins(source, category, coins):
        for status in _statuses(category):
            entries += await _entries(source, category, base_coin, status)
            if len(entries) > INSTRUMENTS_MAX:
                raise AnswerError("instruments-info", f"{category} has more than {INSTRUMENTS_MAX} entries")
    return sort_out(category, entries)


def sort_out(category: str, entries: Iterable[Mapping[str, Any]]) -> Reading:
    """Tell the instruments from the entries that cannot be used; of a symbol the last entry counts."""
    found: dict[str, Instrument] = {}
    refused: dict[str, Refused] = {}
    for raw in entries:
        try:
            instrument = parse(category, raw)
        except AnswerError as error:
            name = _shown(raw)
            refused[name] = Refused(category, name, error.detail[:200])
        else:
            found[instrument.symbol] = instrument
    return Reading(category, found, tuple(refused.values()))


def parse(category: str, raw: Mapping[str, Any]) -> Instrument:
    """Read one element of an instruments-info list. Raises AnswerError naming the symbol."""
    try:
        topics.check_symbol(raw["symbol"])
        if len(orjson.dumps(raw)) > RAW_BYTES_MAX:
            raise ValueError(f"more than {RAW_BYTES_MAX} bytes")
        price, lot = _filters(category, raw)
        price_scale, size_scale = _decimals("tick", price["tickSize"]), _decimals("step", lot["step"])
        return Instrument(
            category=category,
            symbol=raw["symbol"],
            base_coin=_word(raw.get("baseCoin")),
            quote_coin=_word(raw.get("quoteCoin")),
            settle_coin=_word(raw.get("settleCoin")),
            contract_type=_word(raw.get("contractType")),
            status=_word(raw["status"]),
            phase=_phase(raw),
            price_tick=price["tickSize"],
            size_step=lot["step"],
            price_scale=price_scale,
            size_scale=size_scale,
            min_price=number(price.get("minPrice")),
            max_price=number(price.get("maxPrice")),
            min_size=number(lot.get("min")),
            max_size=number(lot.get("max")),
            min_notional=number(lot.get("notional")),
            launch_ms=_time_ms(raw.get("launchTime")),
            delivery_ms=_time_ms(raw.get("deliveryTime")),
            raw=raw,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnswerError("instruments-info", f"{category} {_shown(raw)}: {error!r}") from error


def changes(before: Mapping[str, Instrument], after: Mapping[str, Instrument]) -> list[Change]:
    """Return what differs between two readings of a category, by symbol."""
    return [
        change
        for symbol in sorted({*before, *after})
        if (change := _change(before.get(symbol), after.get(symbol))) is not None
    ]


def _change(before: Instrument | None, after: Instrument | None) -> Change | None:
    was, now = (one is not None and one.is_listed for one in (before, after))
    known = after or before
    if known is None or not (was or now):
        return None
    kind = "instrument_changed" if was and now else "listed" if now else "delisted"
    fields: dict[str, tuple[Any, Any]] = {}
    if before is not None and after is not None:
        fields = dict(_differences(before.raw, after.raw))
        if kind == "instrument_changed" and not fields:
            return None
    return Change(kind, known.category, known.symbol, before, after, fields)


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name}", (old, new)


async def _base_coins(source: Source, category: str, coins: Iterable[str]) -> list[str]:
    if category != "option":
        return [""]
    try:
        known = await source.option_coins()
    except (HttpStatusError, RetCodeError):  # an environment without this list
        known = list(OPTION_COINS)
    return sorted({*known, *coins})


def _statuses(category: str) -> tuple[str, ...]:
    if category == "spread":  # lists without regard to status
        return ("",)
    return tuple(status for status in STATUSES if not (category == "option" and status == CLOSED))


async def _entries(source: Source, category: str, base_coin: str, status: str) -> list[Mapping[str, Any]]:
    try:
        return await source.instrument_list(category, base_coin=base_coin, status=status)
    except RetCodeError as error:
        # A category need not know every status.
        if error.ret_code == PARAMETERS_ERROR and status not in ("", "Trading"):
            return []
        raise


def _filters(category: str, raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the price's numbers and the size's, the latter under names that all categories share."""
    if category == "spread":
        lot = {"step": raw["lotSize"], "min": raw.get("minSize"), "max": raw.get("maxSize")}
        return raw, lot
    given = raw["lotSizeFilter"]
    # Spot has no qtyStep: its step is the precision of the base coin.
    is_spot = category == "spot"
    return raw["priceFilter"], {
        "step": given["basePrecision" if is_spot else "qtyStep"],
        "min": given.get("minOrderQty"),
        "max": given.get("maxLimitOrderQty" if is_spot else "maxOrderQty") or given.get("maxOrderQty"),
        "notional": given.get("minOrderAmt" if is_spot else "minNotionalValue"),
    }


def _phase(raw: Mapping[str, Any]) -> str:
    info = raw.get("preListingInfo")
    return _word(info.get("curAuctionPhase")) if isinstance(info, Mapping) else ""


def _word(value: object) -> str:
    text = "" if value is None else value
    if not isinstance(text, str) or len(text) > WORD_CHARS_MAX or not text.isprintable():
        raise ValueError(f"a word was {ascii(text)[:NUMBER_CHARS_MAX]}")
    return text


def _decimals(name: str, step: object) -> int:
    text = number(step)
    if text is None or Decimal(text) <= 0:
        raise ValueError(f"the {name} was {ascii(step)[:NUMBER_CHARS_MAX]}, expected a number above 0")
    return len(text.partition(".")[2].rstrip("0"))


def number(text: object) -> str | None:
    """Return the text of a price or size that can be stored exactly; None for anything else.

    Spreads have negative prices.
    """
    if not isinstance(text, str) or len(text) > NUMBER_CHARS_MAX or not _NUMBER.fullmatch(text):
        return None
    whole, _, decimals = text.removeprefix("-").partition(".")
    fits = len(whole.lstrip("0")) <= INTEGER_DIGITS_MAX and len(decimals.rstrip("0")) <= DECIMALS_MAX
    return text if fits else None


def _time_ms(value: object) -> int:
    text = str(value or "")[:NUMBER_CHARS_MAX]
    time_ms = int(text) if text.isascii() and text.isdecimal() else 0
    return time_ms if time_ms <= TIME_MS_MAX else 0


def _shown(raw: object) -> str:
    symbol = raw.get("symbol", "?") if isinstance(raw, Mapping) else "?"
    text = symbol if isinstance(symbol, str) else repr(symbol)[:REFUSED_SHOWN]
    try:
        topics.check_symbol(text)
    except TopicError:
        return ascii(text[:REFUSED_SHOWN])
    return text
