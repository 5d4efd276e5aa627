"""Behaviour of the venue that nobody has measured well: a switch a doubt, to hold clients to both."""

import dataclasses
from typing import Any

from simulator.errors import SimulatorError


def _switch(default: str, values: str, doubt: str) -> Any:
    return dataclasses.field(default=default, metadata={"values": tuple(values.split()), "doubt": doubt})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """One field a doubt. `python -m simulator --list-switches` prints this table."""

    level1_repeat: str = _switch(
        "old", "old new", "a repeated level-1 snapshot carries the old cts and seq, or those of the moment"
    )
    spot_level1_repeat: str = _switch("on", "on off", "spot repeats level 1 after 3 s without a change")
    level1_u: str = _switch("next", "next jumps", "u of level 1 rises by one, or by more")
    spot_error_req_id: str = _switch("off", "off on", "a refusal on spot carries the req_id of its request")
    spot_unknown_symbol: str = _switch(
        "handler",
        "handler invalid_symbol",
        "how spot names an unknown symbol: handler not found, or Invalid symbol",
    )
    args_characters: str = _switch(
        "connection", "connection request", "the 21,000 characters count over the connection, or one request"
    )
    args_characters_over: str = _switch(
        "refuse", "refuse close", "args beyond 21,000 characters are refused, or close the connection"
    )
    unknown_topic: str = _switch(
        "harmless",
        "harmless poisons",
        "after handler not found the earlier topics of the connection go on, or stop",
    )
    snapshot_order: str = _switch(
        "after", "after before", "the first snapshot comes after its ack, or before it"
    )
    stale_frames: str = _switch(
        "0", "0 1 2 3", "data frames of a topic that still come after its unsubscribe ack"
    )
    idle_close_s: str = _switch(
        "0", "0 61 600", "a socket with no topic and no ping closes after this; 0 is never"
    )
    recent_trade_order: str = _switch(
        "newest", "newest oldest", "which trade comes first in REST recent-trade"
    )
    playback_start: str = _switch(
        "all",
        "all first",
        "playback starts when all topics of the file are subscribed, or at the first of them",
    )


def parse_switches(settings: list[str]) -> Switches:
    """Return the switches of `name=value` texts; raise SimulatorError where a name or value is not known."""
    fields = {field.name: field for field in dataclasses.fields(Switches)}
    chosen: dict[str, str] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in fields:
            raise SimulatorError(f"switch was {name!r}; there are {', '.join(fields)}: see --list-switches")
        allowed = fields[name].metadata["values"]
        if value not in allowed:
            raise SimulatorError(f"switch {name} was {value!r}; it takes {' or '.join(allowed)}")
        chosen[name] = value
    return Switches(**chosen)


def describe_switches() -> str:
    """Return one line a switch: name, default, the other values, the doubt."""
    lines = []
    for field in dataclasses.fields(Switches):
        others = [value for value in field.metadata["values"] if value != field.default]
        lines.append(f"{field.name}={field.default}  (or {', '.join(others)}): {field.metadata['doubt']}")
    return "\n".join(lines)
