"""What a code proves; what is not in the table proves nothing."""

import pytest

from engine.bybit.order_codes import Verdict, http_verdict, verdict


@pytest.mark.parametrize(
    ("op", "code", "expected"),
    [
        ("create", 0, Verdict.ACCEPTED),
        ("create", 110007, Verdict.REFUSED),
        ("create", 10001, Verdict.REFUSED),
        ("create", 10002, Verdict.CLOCK),
        ("create", 10006, Verdict.LIMITED),
        ("create", 33004, Verdict.KEY),
        ("create", 110100, Verdict.REFUSED),
        *[("create", code, Verdict.UNKNOWN) for code in (10000, 10016, 10019, 110072, 170141, 10014, 170007)],
        *[("create", code, Verdict.UNKNOWN) for code in (110001, 110010, 110079, 110043, 987654)],
        ("cancel", 110001, Verdict.MISSING),
        ("cancel", 170213, Verdict.MISSING),
        ("cancel", 110010, Verdict.FINAL),
        ("cancel", 170139, Verdict.FINAL),
        ("amend", 110079, Verdict.BUSY),
        ("amend", 34040, Verdict.UNCHANGED),
        ("amend", 10016, Verdict.UNKNOWN),
        ("cancel", 987654, Verdict.UNKNOWN),
    ],
)
def test_what_a_code_proves(op: str, code: int, expected: Verdict) -> None:
    assert verdict(op, code) is expected


def test_only_what_was_never_accepted_ends_an_intent() -> None:
    ending = {one for one in Verdict if one.is_never_accepted}
    assert ending == {Verdict.REFUSED, Verdict.LIMITED, Verdict.CLOCK, Verdict.KEY}


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, Verdict.REFUSED), (429, Verdict.REFUSED), (408, Verdict.UNKNOWN), (502, Verdict.UNKNOWN)],
)
def test_what_an_http_status_proves(status: int, expected: Verdict) -> None:
    assert http_verdict(status) is expected
