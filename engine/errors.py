"""What can go wrong, in three families.

::

    TapeheadError
    ├── PeerError            the venue or the network did not do what it should; trying again may help
    │   ├── ConnectError       no connection: name resolution, refusal, TLS, handshake
    │   ├── HttpStatusError    a REST answer with a status other than 200
    │   ├── RetCodeError       a REST answer whose retCode is not 0
    │   ├── AnswerError        a REST answer that is not what the venue documents
    │   └── NotSentError       a REST request that was not sent: it got no allowance in time
    ├── UsageError           the caller asked for something that cannot be; also a ValueError
    │   ├── ConfigError        an option: which one, its value, the rule
    │   ├── EndpointError      a URL, an environment or a region
    │   └── TopicError         a category, topic, depth, interval or symbol
    └── InternalError        a fault of this package: please report it

Every error has ``remedy``: what to do next, one sentence, part of the message too. Bad market data raises
none of these: it is counted, and reaches the Listener as a Gap or an Event.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "AnswerError",
    "ConfigError",
    "ConnectError",
    "EndpointError",
    "HttpStatusError",
    "InternalError",
    "NotSentError",
    "PeerError",
    "RetCodeError",
    "TapeheadError",
    "TopicError",
    "UsageError",
    "nearest",
]


class TapeheadError(Exception):
    """Base of every error raised by ``engine``.

    ``problem`` says what was expected and what was found, ``remedy`` what to do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class PeerError(TapeheadError):
    """The venue or the network is at fault; trying again may help."""


class ConnectError(PeerError):
    """No connection to ``url``; ``reason`` is one word: dns, refused, timeout, tls, handshake or network."""

    def __init__(self, url: str, reason: str, detail: str, remedy: str = "") -> None:
        super().__init__(f"cannot connect to {url} ({reason}): {detail}", remedy)
        self.url = url
        self.reason = reason
        self.detail = detail


class HttpStatusError(PeerError):
    """A REST answer of ``url`` had the HTTP ``status``, was expected to have 200."""

    def __init__(self, url: str, status: int, remedy: str = "") -> None:
        super().__init__(f"HTTP status of {url} was {status}, expected 200", remedy)
        self.url = url
        self.status = status


class RetCodeError(PeerError):
    """A REST answer of ``path`` carried ``ret_code`` and ``ret_msg`` instead of a result."""

    def __init__(self, path: str, ret_code: int, ret_msg: str, remedy: str = "") -> None:
        super().__init__(f"{path} answered retCode {ret_code} ({ret_msg!r}), expected 0", remedy)
        self.path = path
        self.ret_code = ret_code
        self.ret_msg = ret_msg


class AnswerError(PeerError):
    """A REST answer of ``path`` could not be read."""

    def __init__(self, path: str, detail: str, remedy: str = "") -> None:
        super().__init__(f"answer of {path} was not understood: {detail}", remedy)
        self.path = path
        self.detail = detail


class NotSentError(PeerError):
    """A request was not sent, and so changed nothing: there was no allowance for it in time, or no clock."""


class UsageError(TapeheadError, ValueError):
    """The caller asked for something that cannot be."""


class ConfigError(UsageError):
    """Option ``field`` had ``value``, which breaks ``rule``."""

    def __init__(self, field: str, value: object, rule: str, remedy: str = "") -> None:
        super().__init__(f"{field} was {value!r}; {rule}", remedy)
        self.field = field
        self.value = value
        self.rule = rule


class EndpointError(UsageError):
    """``value`` is no usable environment, region or URL."""

    def __init__(self, value: str, rule: str, remedy: str = "") -> None:
        super().__init__(f"{value!r} {rule}", remedy)
        self.value = value


class TopicError(UsageError):
    """``value`` names nothing that exists; ``suggestions`` are the nearest that do."""

    def __init__(
        self, problem: str, value: object, suggestions: Iterable[object] = (), remedy: str = ""
    ) -> None:
        self.value = value
        self.suggestions = tuple(suggestions)
        if not remedy and self.suggestions:
            remedy = "use " + " or ".join(str(suggestion) for suggestion in self.suggestions)
        super().__init__(problem, remedy)


class InternalError(TapeheadError):
    """A fault of this package: please report it with the traceback."""


def nearest(word: str, candidates: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Return up to ``count`` of the candidates that look most like ``word``, best first."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(candidates, reverse=True)}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=count, cutoff=0.6)
    return tuple(by_folded[match] for match in matches)
