"""Where a feed may connect to, and where it refuses to."""

import pytest

from engine.bybit import endpoints
from engine.errors import EndpointError


@pytest.mark.parametrize(
    ("environment", "region", "base"),
    [
        ("mainnet", "", "wss://stream.bybit.com/v5/public"),
        ("testnet", "", "wss://stream-testnet.bybit.com/v5/public"),
        ("demo", "", "wss://stream.bybit.com/v5/public"),
        ("mainnet", "tr", "wss://stream.bybit.tr/v5/public"),
        ("mainnet", "jp", "wss://stream.manepa.jp/v5/public"),
    ],
)
def test_the_public_stream_of_an_environment(environment: str, region: str, base: str) -> None:
    assert endpoints.public_base(environment, region=region) == base


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:8080", "ws://localhost:1", "ws://[::1]:9", "ws://127.9.9.9", "wss://example.com/"]
)
def test_encrypted_or_to_this_machine_is_accepted(url: str) -> None:
    assert endpoints.public_base(url=url) == url.rstrip("/") + "/v5/public"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ws://stream.bybit.com", "is not encrypted, and stream.bybit.com is not this machine: use wss://"),
        ("ws://10.0.0.1", "not this machine"),
        ("ws://127.0.0.1.example.com", "not this machine"),
        ("ws://localhost.example.com", "not this machine"),
        ("http://127.0.0.1", "is no usable URL"),
        ("stream.bybit.com", "is no usable URL"),
        ("wss://", "is no usable URL"),
        ("wss://h:port", "is no URL"),
        ("wss://user:secret@h", "has a query, a fragment or a user"),
        ("wss://h?x=1", "has a query"),
        (
            "wss://stream.bybit.com/v5/public/linear",
            "names a path: give the base only: wss://stream.bybit.com",
        ),
    ],
)
def test_any_other_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(EndpointError, match=message):
        endpoints.public_base(url=url)


@pytest.mark.parametrize(
    ("environment", "region", "message"),
    [
        ("mainet", "", "is no environment: use mainnet"),
        ("prod", "", "use mainnet or testnet or demo"),
        ("mainnet", "xx", "is no region: use one of nl, tr"),
        ("testnet", "tr", "has no hosts of region 'tr'"),
        ("mainnet", "ae", "has no public stream that the venue lists"),
    ],
)
def test_an_unknown_place_is_refused(environment: str, region: str, message: str) -> None:
    with pytest.raises(EndpointError, match=message):
        endpoints.public_base(environment, region=region)


def test_a_url_does_not_hide_an_unknown_environment() -> None:
    for base in (endpoints.public_base, endpoints.rest_base):
        with pytest.raises(EndpointError, match="use mainnet"):
            base("mainet", url="wss://example.com")


def test_rest_is_encrypted_or_to_this_machine() -> None:
    assert endpoints.rest_base("testnet") == "https://api-testnet.bybit.com"
    assert endpoints.rest_base(url="http://127.0.0.1:80/") == "http://127.0.0.1:80"
    with pytest.raises(EndpointError, match="not encrypted"):
        endpoints.rest_base(url="http://api.bybit.com")
