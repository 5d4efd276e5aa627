"""What the venue answers on a public stream: pongs, acknowledgements and errors, brought to one form.

The shapes differ by category and some carry no request id:

    linear  {"success":true,"ret_msg":"","conn_id":"c","req_id":"s1","op":"subscribe"}
    spot    {"success":true,"ret_msg":"subscribe","conn_id":"c","op":"subscribe"}
    option  {"success":true,"conn_id":"c","data":{"failTopics":[],"successTopics":[]},"type":"COMMAND_RESP"}
    error   {"success":false,"ret_msg":"error:handler not found,topic:T","req_id":"s2","op":"subscribe",..}
    pongs   {"success":true,"ret_msg":"pong","op":"ping",..}  {"args":["1790000000000"],"op":"pong"}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Reply", "is_already_subscribed", "named_topics", "read"]

REASON_CHARS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``kind`` is ``pong``, ``answer``, or ``other`` for a message that is neither.

    ``op`` and ``request_id`` are empty where the venue sent none. ``confirmed`` and ``refused`` list topics
    only where the venue answers for each topic; elsewhere ``success`` speaks for the whole request.
    """

    kind: str
    op: str = ""
    request_id: str = ""
    success: bool = False
    reason: str = ""
    confirmed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def is_per_topic(self) -> bool:
        """Whether the answer names its topics."""
        return bool(self.confirmed or self.refused)


def read(message: object) -> Reply:
    """Bring a decoded control message to one form; never raises on what the venue sent."""
    if not isinstance(message, Mapping):
        return Reply("other", reason=str(message)[:REASON_CHARS_MAX])
    op = _text(message, "op")
    reason = _text(message, "ret_msg") or _text(message, "retMsg")
    if op == "pong" or reason == "pong":
        return Reply("pong")
    if message.get("type") == "COMMAND_RESP":
        return _read_command(message, reason)
    if "success" in message and op in ("subscribe", "unsubscribe", ""):
        return Reply("answer", op, _text(message, "req_id"), message["success"] is True, reason)
    return Reply("other", op, reason=reason or str(dict(message))[:REASON_CHARS_MAX])


def is_already_subscribed(reason: str) -> bool:
    """Whether an error says that the topic is subscribed: a confirmation, not a failure."""
    return "already subscribed" in reason.casefold()


def named_topics(reason: str, topics: Sequence[str]) -> tuple[str, ...]:
    """Return the topics of a request that an error names: ``topic:<topic>``, ``Invalid symbol :[..]``."""
    _, found, name = reason.partition("topic:")
    if found:
        return tuple(topic for topic in topics if topic == name.strip())
    _, found, name = reason.partition("Invalid symbol :[")
    symbol = name.partition("]")[0].strip()
    return tuple(topic for topic in topics if found and symbol and topic.endswith("." + symbol))


def _read_command(message: Mapping[str, Any], reason: str) -> Reply:
    data = message.get("data")
    lists = data if isinstance(data, Mapping) else {}
    confirmed, refused = _topics(lists.get("successTopics")), _topics(lists.get("failTopics"))
    return Reply(
        "answer",
        "",
        _text(message, "req_id"),
        message.get("success") is True,
        reason or "refused",
        confirmed,
        refused,
    )


def _topics(value: object) -> tuple[str, ...]:
    return tuple(topic for topic in value if isinstance(topic, str)) if isinstance(value, list) else ()


def _text(message: Mapping[str, Any], field: str) -> str:
    value = message.get(field)
    return value[:REASON_CHARS_MAX] if isinstance(value, str) else ""
