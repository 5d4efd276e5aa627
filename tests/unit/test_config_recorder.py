"""What to record: from options and from a TOML file; every mistake is named with its place and its remedy."""

import re
from pathlib import Path

import pytest

from engine.errors import UsageError
from recorder import config_file
from recorder.config import Market, RecordConfig
from recorder.config_file import load

WHOLE = """
data = "tape"
recorder = "rack-2"
environment = "testnet"

[feed]
ping_interval_s = 15
reconnect_delay_s = 0.25

[[market]]
symbols = ["BTCUSDT", "ETHUSDT"]
book = [50, 200]
kline = [1, "D"]

[[market]]
category = "spot"
symbols = ["BTCUSDT"]
trades = false
tickers = true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "record.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, WHOLE))
    assert settings.data == Path("tape")
    assert settings.recorder == "rack-2"
    assert settings.feed == {"ping_interval_s": 15, "reconnect_delay_s": 0.25}
    first, second = settings.market
    assert first.topics() == [
        f"{kind}.{symbol}"
        for symbol in ("BTCUSDT", "ETHUSDT")
        for kind in ("orderbook.50", "orderbook.200", "orderbook.1", "publicTrade", "kline.1", "kline.D")
    ]
    assert second == Market(category="spot", symbols=("BTCUSDT",), trades=False, tickers=True)


@pytest.mark.parametrize("text", ['[[market]]\nsymbols = ["BTCUSDT"]\n', 'symbols = ["BTCUSDT"]'])
def test_the_smallest_file(text: str, tmp_path: Path) -> None:
    (market,) = load(write(tmp_path, text)).market
    assert market.topics() == ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT", "publicTrade.BTCUSDT"]
    assert market.auto_listings


def test_the_keys_of_one_market_may_stand_alone(tmp_path: Path) -> None:
    text = """
    data = "tape"
    refresh_s = "10m"
    shards = 2
    quote = ["USDT"]
    top = 50
    exclude = ["*PERP"]
    companion = false
    hot = ["BTCUSDT"]
    legs = 2
    depths = { "BTCUSDT" = [1000, 200], "DOGE*" = [] }

    [feed]
    reconnect_delay_s = "200ms"
    message_bytes_max = "2MiB"
    """
    settings = load(write(tmp_path, text))
    (market,) = settings.market
    assert (settings.refresh_s, settings.shards) == (600, 2)
    assert settings.feed == {"reconnect_delay_s": 0.2, "message_bytes_max": 2 << 20}
    assert (market.rule.patterns, market.rule.top, market.rule.exclude) == (("*",), 50, ("*PERP",))
    assert (market.legs, market.hot) == (2, ("BTCUSDT",))
    assert market.depths == {"BTCUSDT": (1000, 200), "DOGE*": ()}
    assert RecordConfig.model_validate(settings.model_dump(mode="json")) == settings


def test_what_is_given_beside_the_file_wins(tmp_path: Path) -> None:
    assert load(write(tmp_path, WHOLE), data=Path("elsewhere")).data == Path("elsewhere")


def test_it_survives_the_handover_to_a_child(tmp_path: Path) -> None:
    settings = load(write(tmp_path, WHOLE))
    assert RecordConfig.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("before", "after", "line", "expected"),
    [
        ('data = "tape"', 'date = "tape"', 2, ("date", "no such key", "use data")),
        ("book = [50, 200]", "bok = [50, 200]", 12, ("market.0.bok", "no such key", "use book")),
        ("trades = false", "trade = false", 18, ("market.1.trade", "use trades")),
        ("ping_interval_s = 15", "ping_intervall_s = 15", 7, ("ping_intervall_s", "ping_interval_s")),
        ("ping_interval_s = 15", "ping_interval_s = 25", 7, ("ping_interval_s was 25", "20")),
        ("book = [50, 200]", "book = [50, 500]", 10, ("depth was 500", "1, 50, 200, 1000", "use 1000")),
        ("book = [50, 200]", 'book = "deep"', 12, ("market.0.book was 'deep'",)),
        ('category = "spot"', 'category = "sport"', 15, ("category was 'sport'", "spot")),
        ('environment = "testnet"', 'environment = "tesnet"', None, ("'tesnet'", "testnet")),
        ('recorder = "rack-2"', 'recorder = "rack 2"', 3, ("recorder was 'rack 2'",)),
    ],
)
def test_a_mistake_is_named_with_its_line(
    before: str, after: str, line: int | None, expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert WHOLE.count(before) == 1
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, WHOLE.replace(before, after)))
    message = str(caught.value)
    assert "record.toml" in message
    assert all(text in message for text in expected), message
    found = re.search(r"record\.toml, line (\d+): ", message)
    assert (found and int(found[1])) == line, message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data = [", "no TOML"),
        ("", "nothing is selected"),
        ("market = []", "market"),
        ('[[market]]\ncategory = "spot"', "symbols"),
        ("[[market]]\nsymbols = []", "symbols"),
        ("[[market]]\nsymbols = 5", "symbols"),
        ('[[market]]\nsymbols = "BTCUSDT"', "symbols was 'BTCUSDT'; a list .* write"),
        (
            'symbols = ["BTCUSDT"]\n[[market]]\nsymbols = ["ETHUSDT"]',
            "line 1: symbols was",
        ),
        ('\nsymbls = ["BTCUSDT"]', "line 2: symbls was .*no such key: use symbols"),
        ('symbols = ["BTCUSDT"]\nbok = [50]', "line 2: bok was .*use book"),
        ('symbols = ["BTCUSDT"]\nexclude = ["BTC*"]', "line 2: exclude was .*symbols names BTCUSDT"),
        ('symbols = ["BTCUSDT"]\ndepths = {BTCUSDT = [500]}', "depth was 500.*use 1000"),
        ('symbols = ["BTCUSDT"]\ntrades = false\nbook = []', "nothing was asked for"),
        ('symbols = ["BTCUSDT"]\nhot = ["ETHUSDT"]', "line 2: hot was .*does not name ETHUSDT"),
        ('symbols = ["BTCUSDT"]\nlegs = 3', "line 2: market.0.legs was 3; .*less than or equal to 2"),
        ('symbols = ["BTCUSDT"]\nshards = 0', "line 2: shards was 0"),
        ('symbols = ["BTCUSDT"]\nrefresh_s = "1 fortnight"', 'line 2: refresh_s was .* write "200ms"'),
        ('symbols = ["BTCUSDT"]\nrefresh_s = "1ms"', "line 2: refresh_s was .*greater than or equal to 1"),
        ('symbols = ["btcusdt"]', "use BTCUSDT"),
        ('symbols = ["BTCUSDT"]\n[feed]\npong_timeout_s = "5"', "line 3: pong_timeout_s was '5'"),
        ('symbols = ["BTCUSDT"]\n[feed]\nmessage_bytes_max = "5s"', "line 3: .*a size ends in B, KB"),
        ('category = "option"\nsymbols = ["BTC*"]', "depth was 50; option has 25, 100"),
        ('category = "spread"\ntop = 5\nbook = [25]', "line 2: top was 5; spread has no"),
        ('category = "spot"\nsymbols = ["*"]\ninsurance = true', "spot has no insurance"),
        ('symbols = ["*"]\nbook = ["full"]', "depth was full; linear has"),
        ('symbols = ["*"]\nprice_limit = true', "line 2: price_limit was .*use price_limits"),
        ('symbols = ["*"]\nsecond_url = "wss://example.com"', "second_url was .*add legs = 2"),
        ('status = ["Traiding"]', "line 1: status was 'Traiding'.*use Trading"),
        ("a = " + "[" * 5000, "TOML|nested"),
        ("#" * (config_file.CONFIG_BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_no_configuration(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=expected):
        load(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(tmp_path / "none.toml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it cannot be read: is a directory"):
        load(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "record.toml"
    path.write_bytes(b'data = "\xff"')
    with pytest.raises(UsageError, match="UTF-8"):
        load(path)


def test_kinds_that_come_by_coin_and_named_books() -> None:
    market = Market(symbols=("BTCUSDT",), book=("rpi", 200), trades=False, insurance=True, adl=True)
    assert market.topics() == [
        "orderbook.rpi.BTCUSDT",
        "orderbook.200.BTCUSDT",
        "orderbook.1.BTCUSDT",
        "insurance.USDT",
        "insurance.USDC",
        "adlAlert.USDT",
        "adlAlert.USDC",
    ]
    spot = Market(category="spot", symbols=("BTCUSDT",), book=("full",), trades=False, price_limits=True)
    assert spot.topics() == ["orderbook.full.BTCUSDT", "orderbook.1.BTCUSDT", "priceLimit.BTCUSDT"]


def test_a_market_without_some_symbols() -> None:
    named = Market(symbols=("AUSDT", "BUSDT"), hot=("AUSDT",), depths={"AUSDT": (200,)})
    assert named.without(["AUSDT"]) == Market(symbols=("BUSDT",))
    assert named.without(["AUSDT", "BUSDT"]) is None
    chosen = Market(symbols=("A*", "BUSDT"))
    assert chosen.may_select("AUSDT")
    assert not chosen.may_select("CUSDT")
    left = chosen.without(["AUSDT", "BUSDT"])
    assert left == Market(symbols=("A*",), exclude=("AUSDT", "BUSDT"))
    assert not left.may_select("AUSDT")


def test_how_much_of_the_spool_is_kept(tmp_path: Path) -> None:
    spool = 'quota = "20GiB"\non_quota = "drop_oldest"\nretention = "2d"'
    text = f'symbols = ["BTCUSDT"]\nshards = 2\n[spool]\n{spool}\n'
    settings = load(write(tmp_path, text))
    assert (settings.spool.quota, settings.spool.retention) == (20 << 30, 2 * 86_400)
    assert (settings.spool.quota_of_each(2), settings.spool.refused_beyond(2)) == (10 << 30, 0)
    assert RecordConfig.model_validate(settings.model_dump(mode="json")) == settings
    default = load(write(tmp_path, 'symbols = ["BTCUSDT"]')).spool
    assert (default.quota, default.on_quota, default.retention, default.compress) == (
        0,
        "refuse",
        7 * 86_400,
        True,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('quota = "1MiB"', "use 268435456 or more, or 0 for none"),
        ('quota = "lots"', "quota was 'lots'"),
        ('on_quota = "drop"', "on_quota was 'drop'"),
        ('retention = "7 weeks"', "retention was '7 weeks'"),
        ("keep = 1", "there is no such key"),
    ],
)
def test_what_cannot_be_kept(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        load(write(tmp_path, f'symbols = ["BTCUSDT"]\n[spool]\n{line}\n'))
