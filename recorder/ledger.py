"""Rows of the ledger that no dispatcher makes: the same live, in capture, and when the spool is read."""

from collections.abc import Iterable, Mapping
from typing import Any

from ext.listener import Event, Gap, Listener

__all__ = ["missed", "tell_event", "tell_missed", "tell_step"]


def missed(start_ns: int, end_ns: int, cause: str, detail: str) -> dict[str, Any]:
    """Return the payload of a ``LOST`` record of an interval that is over, for all wanted topics.

    Books go on: what they lost in it shows in their update ids.
    """
    return {
        "topics": None,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "cause": cause,
        "fault": "ours",
        "detail": detail,
    }


def tell_missed(
    listener: Listener, topics: Mapping[str, Iterable[str]], loss: Mapping[str, Any], position: int
) -> None:
    """Call the listener with a gap, opened and closed at once, of each topic; ``loss`` as of `missed`."""
    for category, names in topics.items():
        for topic in sorted(names):
            for end_ns in (0, max(loss["end_ns"], loss["start_ns"])):
                listener.on_gap(
                    Gap(
                        id=position,
                        category=category,
                        topic=topic,
                        cause=loss["cause"],
                        fault=loss["fault"],
                        leg=0,
                        start_ns=loss["start_ns"],
                        end_ns=end_ns,
                        missing=-1,
                        detail=loss["detail"],
                        position=position,
                    )
                )


def tell_step(listener: Listener, step_ns: int, recv_ns: int, position: int) -> None:
    """Call the listener with the event of a wall clock that was set."""
    tell_event(listener, "clock_stepped", f"by {step_ns / 1e9:+.3f} s", recv_ns, position)


def tell_event(listener: Listener, kind: str, detail: str, recv_ns: int, position: int) -> None:
    """Call the listener with an event that is of no category."""
    listener.on_event(
        Event(category="", topic="", kind=kind, detail=detail, recv_ns=recv_ns, position=position)
    )
