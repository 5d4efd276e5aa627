"""Tapehead's engine: live market data of the Bybit V5 market, and its order books.

The public names, and nothing else.
"""

from engine._checks import check_core, check_interpreter, check_picows

check_interpreter()
check_picows()
check_core()

# The core's imports stand below its checks.
from engine.config import FeedOptions  # noqa: E402
from engine.errors import (  # noqa: E402
    AnswerError,
    ConfigError,
    ConnectError,
    EndpointError,
    HttpStatusError,
    InternalError,
    NotSentError,
    PeerError,
    RetCodeError,
    TapeheadError,
    TopicError,
    UsageError,
)
from engine.fanout import Fanout  # noqa: E402
from engine.feed import Feed  # noqa: E402
from engine.stream import Stream  # noqa: E402
from engine.subscriptions import SubscriptionStatus, TopicState  # noqa: E402
from ext.book import BookState, OrderBook  # noqa: E402
from ext.dispatch import Dispatcher  # noqa: E402
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade  # noqa: E402

__all__ = [
    "AnswerError",
    "BookState",
    "ConfigError",
    "ConnectError",
    "Dispatcher",
    "EndpointError",
    "Event",
    "Fanout",
    "Feed",
    "FeedOptions",
    "Gap",
    "HttpStatusError",
    "InternalError",
    "Kline",
    "Liquidation",
    "Listener",
    "NotSentError",
    "Notice",
    "OrderBook",
    "PeerError",
    "RetCodeError",
    "Stream",
    "SubscriptionStatus",
    "TapeheadError",
    "Ticker",
    "TopicError",
    "TopicState",
    "Trade",
    "UsageError",
]
