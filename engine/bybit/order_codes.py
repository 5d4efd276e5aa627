"""What the venue's codes say about an order request. A code that is not in the table leaves it open."""

from enum import Enum
from typing import Final

__all__ = ["Verdict", "http_verdict", "verdict"]


class Verdict(Enum):
    """What an answer proves about one create, amend or cancel."""

    ACCEPTED = "accepted"  # by the gateway: not placed, not amended, not cancelled yet
    REFUSED = "refused"  # never accepted: it has no effect and will have none
    UNKNOWN = "unknown"  # it may have been accepted: only a query tells
    FINAL = "final"  # of amend and cancel: the order is filled, cancelled or rejected
    MISSING = "missing"  # of amend and cancel: no such order: final, not placed, or not visible yet
    UNCHANGED = "unchanged"  # what was asked for is so already
    BUSY = "busy"  # of amend and cancel: refused now, may be asked again shortly
    LIMITED = "limited"  # never accepted: too many requests
    CLOCK = "clock"  # never accepted: the timestamp is outside the window
    KEY = "key"  # never accepted: key, signature or permission

    @property
    def is_never_accepted(self) -> bool:
        """Whether the request has no effect and will have none."""
        return self in _NEVER_ACCEPTED


_NEVER_ACCEPTED: Final = frozenset({Verdict.REFUSED, Verdict.LIMITED, Verdict.CLOCK, Verdict.KEY})

_TABLE: Final[dict[Verdict, tuple[int, ...]]] = {
    Verdict.ACCEPTED: (0,),
    Verdict.UNKNOWN: (
        *(10000, 10016, 10019),  # the server's timeout, error, restart
        *(170007, 170146, 170147),
        *(10014, 20006),  # a duplicate: of a request that may have been accepted
        *(110072, 170141),  # the orderLinkId exists: the order may be placed already
    ),
    Verdict.CLOCK: (10002, -1),
    Verdict.KEY: (
        *(10003, 10004, 10005, 10007, 10009, 10010, 10024, 10027, 10028, 10029),
        *(33004, -2015),
    ),
    Verdict.LIMITED: (10006, 10018, 10403, 10429, 429, 20003, 170005, 170222),
    Verdict.MISSING: (110001, 170213, 170143),
    Verdict.FINAL: (110008, 110010, 170139, 170142, 170190),
    Verdict.UNCHANGED: (110025, 110026, 110027, 110043, 34040),
    Verdict.BUSY: (110079, 170144, 170191, 170212),
    Verdict.REFUSED: (
        *(10001, 10017, 10404),  # parameters, route, operation
        *(110003, 110120, 110121, 30208, 30209),  # price
        *(170132, 170133, 170193, 170194, 170371, 170372),
        *(110004, 110006, 110007, 110012, 110044, 110045, 110052, 170131, 170033),  # balance, margin
        *(110009, 110020, 170810),  # too many orders
        *(110017, 110064, 170313),  # reduce-only without a position; quantity below what is filled
        *(110024, 110028, 110029),  # position mode
        *(110090, 110094, 170136, 170137, 170134, 170140, 170124, 170381),  # size, notional, precision
        *(110092, 110093),  # trigger on the wrong side
        *range(110095, 110104),  # auctions
        *(110074, 30228),  # not live, delisting
    ),
}
_VERDICTS: Final = {code: known for known, codes in _TABLE.items() for code in codes}

# Answers about an existing order prove nothing about a create.
_NOT_OF_CREATE: Final = frozenset({Verdict.MISSING, Verdict.FINAL, Verdict.UNCHANGED, Verdict.BUSY})

# Refused before any work was done: nothing else tells a proxy's word from the venue's.
_HTTP_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 413, 429})


def verdict(op: str, code: int) -> Verdict:
    """Return what retCode ``code`` proves about a ``create``, ``amend`` or ``cancel``."""
    known = _VERDICTS.get(code, Verdict.UNKNOWN)
    return Verdict.UNKNOWN if op == "create" and known in _NOT_OF_CREATE else known


def http_verdict(status: int) -> Verdict:
    """Return what an HTTP status other than 200 proves about a request."""
    return Verdict.REFUSED if status in _HTTP_REFUSALS else Verdict.UNKNOWN
