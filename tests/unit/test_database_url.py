"""URLs of a server: what is refused is refused before anything is sent, and no secret is told."""

import pytest

from engine.errors import UsageError
from recorder.database.clickhouse import CA_VARIABLE, PASSWORD_VARIABLE, DatabaseError, open_server


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://me:geheim@db.example:8443", "holds a user or password"),
        ("https://geheim@db.example", "holds a user or password"),
        ("https://db.example:port", "cannot be read"),
        ("ftp://db.example", "cannot be read"),
        ("https://", "scheme, host and port"),
        ("https://db.example/other", "scheme, host and port"),
        ("https://db.example:8443/?verify=false", "scheme, host and port"),
        ("http://db.example:8123", "password in the clear"),
        ("http://192.0.2.1", "password in the clear"),
    ],
)
def test_what_cannot_be(url: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "geheim")
    with pytest.raises(UsageError, match=problem) as error:
        open_server(url)
    assert "geheim" not in str(error.value) + error.value.remedy
    assert error.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
def test_on_loopback_a_password_may_go_without_tls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "geheim")
    with pytest.raises(DatabaseError, match="connecting") as error:
        open_server(url)
    assert "geheim" not in str(error.value)


def test_certificates_are_checked_by_the_authority_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, object] = {}

    def get_client(**options: object) -> None:
        given.update(options)
        raise OSError("as far as it goes")

    monkeypatch.setattr("recorder.database.clickhouse.clickhouse_connect.get_client", get_client)
    monkeypatch.setenv(CA_VARIABLE, "authority.pem")
    with pytest.raises(DatabaseError):
        open_server("https://db.example")
    assert (given["interface"], given["port"], given["ca_cert"]) == ("https", 8443, "authority.pem")
    assert given.get("verify", True) is True
