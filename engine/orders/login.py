"""What both of the account's connections do: log in, breathe, and say when they are dead. Sans-I/O."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.bybit import replies
from engine.bybit.credentials import Credentials
from engine.clock import NS_PER_S, Instant
from engine.heartbeat import Heartbeat

__all__ = ["LoginSession"]

PING: Final = b'{"op":"ping"}'
PING_INTERVAL_S: Final = 20.0
PONG_TIMEOUT_S: Final = 10.0
LOGIN_TIMEOUT_S: Final = 10.0
# How far ahead of the venue a login ends: a second is too tight for a slow handshake.
LOGIN_AHEAD_MS: Final = 10_000
ALREADY_CODE: Final = 20001


class LoginSession:
    """One connection after another, each of which logs in. Not thread-safe.

    Inputs (`connected`, `disconnected`, `message`, `heard`) note what happened, `tick` does what is due;
    `take_sends` hands over what to send, `deadline_ns` says when to tick again, and `reconnect_cause` why the
    connection must be replaced. Login and its signature are in `take_sends` only.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.is_connected = False
        self.is_ready = False
        self.reconnect_cause: str | None = None
        self.login_error: tuple[int, str] | None = None
        self.connects = 0
        self.strays = 0
        self._credentials = credentials
        self._heartbeat = Heartbeat(round(PING_INTERVAL_S * NS_PER_S), round(PONG_TIMEOUT_S * NS_PER_S))
        self._login_due_ns: int | None = None
        self._sends: list[bytes] = []

    # what happened

    def connected(self, now: Instant, server_ms: int) -> None:
        """The socket is open; ``server_ms`` is the venue's time."""
        self.is_connected = True
        self.is_ready = False
        self.reconnect_cause = None
        self.connects += 1
        self._sends.clear()
        self._heartbeat.start(now.mono_ns)
        self._login_due_ns = now.mono_ns + round(LOGIN_TIMEOUT_S * NS_PER_S)
        expires_ms = server_ms + LOGIN_AHEAD_MS
        signature = self._credentials.sign(f"GET/realtime{expires_ms}")
        args = [self._credentials.key, expires_ms, signature]
        self._sends.append(orjson.dumps({"req_id": "login", "op": "auth", "args": args}))

    def disconnected(self, now: Instant) -> None:
        """The socket is gone."""
        self.is_connected = self.is_ready = False
        self.reconnect_cause = None
        self._login_due_ns = None
        self._sends.clear()

    def heard(self, mono_ns: int) -> None:
        """A frame of whatever kind came."""
        self._heartbeat.heard(mono_ns)

    def message(self, message: object, now: Instant) -> None:
        """A decoded message came; what cannot be understood is counted."""
        self.heard(now.mono_ns)
        if not isinstance(message, Mapping):
            self.strays += 1
        elif replies.read(message).kind == "pong":
            self._heartbeat.pong(now.mono_ns)
        elif message.get("op") == "auth":
            self._login_answered(message, now)
        else:
            self._received(message, now)

    # what is to be done

    def tick(self, now: Instant) -> None:
        """Do all that is due."""
        if not self.is_connected or self.reconnect_cause is not None:
            return
        if self._login_due_ns is not None and now.mono_ns >= self._login_due_ns:
            self.reconnect_cause = "login_timeout"
        elif self._heartbeat.is_dead(now.mono_ns):
            self.reconnect_cause = "pong_timeout"
        elif self._heartbeat.takes_ping(now.mono_ns):
            self._sends.append(PING)
        self._check(now)

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` has something to do next, on the monotonic clock."""
        if not self.is_connected or self.reconnect_cause is not None:
            return None
        dues = [self._heartbeat.deadline_ns, *self._deadlines()]
        if self._login_due_ns is not None:
            dues.append(self._login_due_ns)
        return min(dues)

    def take_sends(self) -> list[bytes]:
        """Hand over the messages to send, in order."""
        sends, self._sends = self._sends, []
        return sends

    # for those that inherit

    def _logged_in(self, now: Instant) -> None:
        """The venue knows us."""

    def _received(self, message: Mapping[str, Any], now: Instant) -> None:
        """A message came that is neither pong nor login."""

    def _check(self, now: Instant) -> None:
        """Look at deadlines of one's own."""

    def _deadlines(self) -> list[int]:
        """Return deadlines of one's own."""
        return []

    def _login_answered(self, message: Mapping[str, Any], now: Instant) -> None:
        self._login_due_ns = None
        code = message.get("retCode", 0)
        code = code if isinstance(code, int) else 0
        if message.get("success") is not False and code in (0, ALREADY_CODE):
            self.login_error = None
            self.is_ready = True
            self._logged_in(now)
            return
        self.login_error = (code, str(message.get("ret_msg") or message.get("retMsg") or "refused"))
        self.reconnect_cause = "login_refused"
