"""Insurance, adlAlert, priceLimit, system.status: entries with their fields as sent."""

import pytest

from ext.dispatch import Dispatcher
from tests.support.listeners import Notes

RECV_NS = 1_790_000_000_100_000_000


@pytest.fixture
def notes() -> Notes:
    return Notes()


def feed(notes: Notes, text: str, category: str = "linear") -> Dispatcher:
    dispatcher = Dispatcher(category, notes)
    dispatcher.feed(text.encode(), RECV_NS, 3, 99)
    return dispatcher


def test_insurance_is_one_notice_an_entry(notes: Notes) -> None:
    text = """{"topic":"insurance.USDT","type":"delta","ts":1790000000000,"data":[
        {"coin":"USDT","symbols":"GOATUSDT","balance":"20352.32","updateTime":"1790000000000"},
        {"coin":"USDT","symbols":"MOODENGUSDT","balance":"1","updateTime":"1790000000000"}]}"""
    dispatcher = feed(notes, text)
    one, other = notes.notices
    assert (one.kind, one.topic, one.symbol, one.category) == (
        "insurance",
        "insurance.USDT",
        "GOATUSDT",
        "linear",
    )
    assert (one.recv_ns, one.ts_ms, one.leg, one.position, one.index) == (
        RECV_NS,
        1790000000000,
        3,
        99,
        0,
    )
    assert (other.symbol, other.index, other.is_snapshot) == ("MOODENGUSDT", 1, False)
    assert one.fields["balance"] == "20352.32"
    assert dispatcher.counters["notice_messages"] == 1


def test_numbers_keep_the_digits_that_were_sent(notes: Notes) -> None:
    text = """{"topic":"adlAlert.USDT","type":"snapshot","ts":1,"data":[{"c":"USDT","s":"FWOGUSDT",
        "b":-5421.2900000000000000001,"mb":"","i_pr":-0.30,"pr":0,"adl_tt":1e4,"on":true,"no":null}]}"""
    feed(notes, text)
    (notice,) = notes.notices
    assert notice.symbol == "FWOGUSDT"
    assert notice.fields == {
        "c": "USDT",
        "s": "FWOGUSDT",
        "b": "-5421.2900000000000000001",
        "mb": "",
        "i_pr": "-0.30",
        "pr": "0",
        "adl_tt": "1e4",
        "on": "true",
        "no": "null",
    }


def test_price_limits_have_neither_type_nor_array(notes: Notes) -> None:
    text = """{"topic":"priceLimit.BTCUSDT","data":{"symbol":"BTCUSDT","buyLmt":"91000.00",
        "sellLmt":"82000.00"},"ts":1790000000782}"""
    feed(notes, text, "spot")
    (notice,) = notes.notices
    assert (notice.kind, notice.symbol, notice.is_snapshot) == ("priceLimit", "BTCUSDT", True)
    assert notice.fields == {"symbol": "BTCUSDT", "buyLmt": "91000.00", "sellLmt": "82000.00"}


def test_system_status_has_a_category_of_its_own(notes: Notes) -> None:
    text = """{"topic":"system.status","ts":1790000000000,"data":[{"id":"u1","title":"Wartung ä",
        "state":"scheduled","begin":"1790000000000","serviceTypes":[2,3],"maintainType":1}]}"""
    feed(notes, text, "status")
    (notice,) = notes.notices
    assert (notice.kind, notice.symbol, notice.category) == ("system.status", "", "status")
    assert (notice.fields["serviceTypes"], notice.fields["maintainType"]) == ("[2,3]", "1")
    assert notice.fields["title"] == "Wartung ä"


@pytest.mark.parametrize(
    "data",
    ["null", "1", '"x"', "[1]", "[null]", "[[]]", "[" * 500 + "]" * 500],
)
def test_what_is_no_entry_is_malformed(notes: Notes, data: str) -> None:
    dispatcher = feed(notes, f'{{"topic":"insurance.USDT","type":"delta","ts":1,"data":{data}}}')
    assert dispatcher.counters["malformed"] == 1
    assert notes.notices == []


def test_without_a_time_it_is_malformed(notes: Notes) -> None:
    assert feed(notes, '{"topic":"priceLimit.X","data":{}}').counters["malformed"] == 1


def test_values_nested_deeply_never_raise(notes: Notes) -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    dispatcher = feed(notes, f'{{"topic":"insurance.USDT","ts":1,"data":{deep}}}')
    assert dispatcher.counters["malformed"] + dispatcher.counters["notice_messages"] == 1


def test_a_gap_of_notices_ends_with_data(notes: Notes) -> None:
    dispatcher = feed(notes, '{"topic":"priceLimit.X","ts":1,"data":{"symbol":"X"}}')
    dispatcher.disconnected(3, RECV_NS + 1)
    dispatcher.feed(b'{"topic":"priceLimit.X","ts":1,"data":{"symbol":"X"}}', RECV_NS + 2, 3)
    assert [gap.is_closed for gap in notes.gaps] == [False, True]
