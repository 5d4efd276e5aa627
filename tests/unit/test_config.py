"""Options: names, rules, and errors that say what to do."""

from dataclasses import fields

import pytest

from engine.config import FeedOptionNames, FeedOptions, feed_options
from engine.errors import ConfigError


def test_the_names_of_keyword_arguments_are_those_of_the_options() -> None:
    named = {field.name: field.type for field in fields(FeedOptions)}
    assert named == FeedOptionNames.__annotations__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ping_intervall_s": 20}, "ping_intervall_s was 20; there is no such option: use ping_interval_s"),
        ({"ping_interval_s": 30}, "closes connections that ping less often than every 20 s: use 20 or less"),
        ({"ping_interval_s": "20"}, "must be a number"),
        ({"ping_interval_s": True}, "must be a number"),
        ({"ack_timeout_s": 0}, "must be above 0"),
        ({"ack_timeout_s": float("nan")}, "must be above 0 and finite"),
        ({"connect_timeout_s": float("inf")}, "must be above 0 and finite"),
        ({"message_bytes_max": 1.5}, "must be a whole number"),
        ({"pong_timeout_s": 25}, "must not exceed ping_interval_s, which was 20"),
        ({"reconnect_delay_s": 60}, "must not exceed reconnect_delay_max_s, which was 30"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        feed_options(**options)
    assert caught.value.field in options
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["liveness", "backfill"])
def test_what_is_on_or_off_is_true_or_false(name: str) -> None:
    assert getattr(feed_options(**{name: False}), name) is False
    with pytest.raises(ConfigError, match=f"{name} was 1; must be True or False"):
        feed_options(**{name: 1})
