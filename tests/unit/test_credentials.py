"""Credentials: signatures that the venue takes, and a secret that shows nowhere."""

import copy
import json
import pickle
import traceback
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from engine.bybit.credentials import KEY_FILE_VARIABLE, Credentials
from engine.errors import ConfigError, UsageError

KEY, SECRET = "k3yEXAMPLE0001", "s3cretEXAMPLE0001"
ORDER = (
    '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit",'
    '"qty":"0.001","price":"50000","timeInForce":"PostOnly"}'
)
VECTORS = {
    "get": (
        f"1700000000000{KEY}5000category=linear&symbol=BTCUSDT",
        "aa113eac876620248379fde8aefd7453c9309019e90f40cfbb65d6d60f754a91",
    ),
    "post": (
        f"1700000000000{KEY}5000{ORDER}",
        "e7d00df23a56eb4a72b1aab2e3311b0b76d13c8b879f4481e1b5351f586fd4aa",
    ),
    "websocket": (
        "GET/realtime1700000010000",
        "72d38b6d2dbd0daf039f6f4889885006574e960acf752c755e7d878e2b6ae410",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_signatures_are_those_of_the_known_requests(name: str) -> None:
    text, signature = VECTORS[name]
    assert Credentials("testnet", KEY, SECRET).sign(text) == signature


def test_a_private_key_signs_in_rsa() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signature = Credentials("mainnet", KEY, pem.decode()).sign("some text")
    private.public_key().verify(b64decode(signature), b"some text", padding.PKCS1v15(), hashes.SHA256())


def test_the_secret_shows_nowhere() -> None:
    held = Credentials("testnet", KEY, SECRET)
    seen = [repr(held), str(held), f"{[held]}", str(getattr(held, "__dict__", ""))]
    for spoil in (pickle.dumps, copy.copy, copy.deepcopy):
        try:
            spoil(held)
        except TypeError as error:
            seen.append("".join(traceback.format_exception(error)))
        else:
            raise AssertionError("credentials were copied")
    assert not [text for text in seen if SECRET in text or KEY in text]


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [("mainnet", "TAPEHEAD_"), ("testnet", "TAPEHEAD_TESTNET_"), ("demo", "TAPEHEAD_DEMO_")],
)
def test_every_environment_has_variables_of_its_own(environment: str, prefix: str) -> None:
    variables = {f"{prefix}KEY": KEY, f"{prefix}SECRET": SECRET}
    assert Credentials.load(environment, variables).key == KEY
    others = {"mainnet", "testnet", "demo"} - {environment}
    for other in others:
        with pytest.raises(UsageError, match=f"no API key of {other}"):
            Credentials.load(other, variables)


def test_a_file_of_the_owner_alone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"testnet": {"key": KEY, "secret": SECRET}}))
    path.chmod(0o600)
    held = Credentials.load("testnet", {KEY_FILE_VARIABLE: str(path)})
    assert held.sign(VECTORS["get"][0]) == VECTORS["get"][1]
    with pytest.raises(UsageError, match="has no key and secret of mainnet"):
        Credentials.load("mainnet", {KEY_FILE_VARIABLE: str(path)})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{}")
    path.chmod(mode)
    with pytest.raises(UsageError, match=rf"mode {mode:04o}.*chmod 600"):
        Credentials.load("testnet", {KEY_FILE_VARIABLE: str(path)})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"testnet": 1}', '{"testnet": {"key": "a"}}', '{"testnet": {"key": 1, "secret": 2}}'],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="has no key and secret of testnet"):
        Credentials.load("testnet", {KEY_FILE_VARIABLE: str(path)})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json cannot be read: No such file"):
        Credentials.load("testnet", {KEY_FILE_VARIABLE: str(tmp_path / "none.json")})


@pytest.mark.parametrize("key", ["", "two words", "ключ", "a\nb"])
def test_a_key_that_cannot_be_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(UsageError, match="the API key is empty or holds what a key cannot") as raised:
        Credentials("testnet", key, SECRET)
    assert SECRET not in str(raised.value)


def test_a_broken_private_key_is_refused_without_telling_it() -> None:
    secret = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----"
    with pytest.raises(UsageError, match="looks like a private key") as raised:
        Credentials("testnet", KEY, secret)
    assert "bm90" not in "".join(traceback.format_exception(raised.value))


def test_an_unknown_environment_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'tesnet'.*use testnet"):
        Credentials("tesnet", KEY, SECRET)
