"""A Feed over real sockets against a venue that misbehaves as each test says."""

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from picows import WSCloseCode, WSMsgType, WSTransport

import engine
from engine.bybit import limits
from engine.clock import mono_ns, wall_ns
from engine.config import FeedOptions
from engine.websocket import Transport, WebsocketOpener
from ext.frames import FrameListener
from ext.journal import Journal
from tests.support.loops import run
from tests.support.spools import Segments
from tests.support.venue import Peer, Venue, delta, obedient, running, snapshot
from tests.support.watch import Watch

BTC, ETH = "orderbook.50.BTCUSDT", "orderbook.50.ETHUSDT"
PEM = Path(__file__).parent.parent / "support" / "loopback.pem"


def make_feed(venue: Venue, watch: engine.Listener, *symbols: str, **options: Any) -> engine.Feed:
    feed = engine.Feed(watch, url=venue.url, **{"reconnect_delay_s": 0.02, **options})
    feed.subscribe("linear", symbols or ("BTCUSDT", "ETHUSDT"), book=50, trades=True)
    return feed


class Attempts:
    """Opens websockets and counts what came of it: failures in a row tell nobody."""

    def __init__(self) -> None:
        self.count = 0
        self._opener = WebsocketOpener()
        self._event = asyncio.Event()

    async def __call__(self, frames: FrameListener, url: str, options: FeedOptions) -> Transport:
        try:
            return await self._opener(frames, url, options)
        finally:
            self.count += 1
            self._event.set()

    async def until(self, count: int) -> None:
        while self.count < count:
            self._event.clear()
            await self._event.wait()


def test_books_follow_the_venue_and_a_gap_costs_one_topic_only() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch) as feed:
            await watch.until(lambda: (ETH, 100) in watch.books and (BTC, 100) in watch.books)
            venue.peer.send(delta(BTC, 101, "7"))
            await watch.until(lambda: (BTC, 101) in watch.books)
            book = feed.book("linear", "BTCUSDT", 50)
            assert book is not None
            assert [str(number) for number in book.bids(1)[0]] == ["100.1", "7"]
            venue.peer.send(delta(BTC, 103))
            await watch.until(lambda: watch.closed(BTC))
            assert watch.opened(BTC) == ["sequence"]
            assert watch.opened(ETH) == []
            asked = [(request["op"], request["args"]) for request in venue.peer.requests[1:]]
            assert asked == [("unsubscribe", [BTC]), ("subscribe", [BTC])]
            assert len(venue.peers) == 1

    run(main())


def test_a_connection_that_is_cut_comes_back_with_everything() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch) as feed:
            await watch.until(lambda: len(watch.confirmed()) == 4)
            for cut in range(1, 4):
                venue.peer.transport.disconnect(graceful=False)
                await watch.until(
                    lambda cut=cut: all(len(watch.closed(topic)) == cut for topic in (BTC, ETH))
                )
            assert len(venue.peers) == 4
            assert watch.opened("publicTrade.BTCUSDT") == ["disconnect"] * 3
            assert watch.closed("publicTrade.BTCUSDT") == ["disconnect"] * 3
            assert len(watch.said("connected")) == 4
            assert feed.counters["connects"] == 4

    run(main())


def test_a_venue_that_is_away_is_waited_for() -> None:
    async def main() -> None:
        watch, venue, attempts = Watch(), Venue(), Attempts()
        await venue.start()
        await venue.stop()
        delays = {"reconnect_delay_s": 0.005, "reconnect_delay_max_s": 0.01}
        async with make_feed(venue, watch, opener=attempts, **delays):
            await watch.until(lambda: watch.said("connect_failed"))
            await attempts.until(5)
            assert watch.opened(BTC) == ["disconnect"]
            assert len(watch.said("connect_failed")) == 1
            assert watch.said("connect_failed")[0].startswith("refused")
            await venue.start()
            try:
                await watch.until(lambda: (BTC, 100) in watch.books)
            finally:
                await venue.stop()

    run(main())


@pytest.mark.parametrize(
    "status", ["403 Forbidden", "404 Not Found", "429 Too Many Requests", "502 Bad Gateway"]
)
def test_a_refused_handshake_is_told_and_tried_again(status: str) -> None:
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()

        watch = Watch()
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            attempts = Attempts()
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            feed = engine.Feed(watch, url=url, opener=attempts, reconnect_delay_s=0.01)
            feed.subscribe("spot", ["BTCUSDT"])
            async with feed:
                await watch.until(lambda: watch.said("connect_failed"))
                await attempts.until(3)
        assert watch.said("connect_failed")[0].startswith("handshake")
        assert status[:3] in watch.said("connect_failed")[0]

    run(main())


def test_a_server_that_accepts_and_stays_silent_is_given_up() -> None:
    async def main() -> None:
        watch = Watch()
        accepted: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
        async with server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            feed = engine.Feed(watch, url=url, connect_timeout_s=0.1)
            feed.subscribe("spot", ["BTCUSDT"])
            async with feed:
                await watch.until(lambda: watch.said("connect_failed"))
            for writer in accepted:
                writer.close()
        assert watch.said("connect_failed")[0].startswith("timeout")

    run(main())


def test_silence_after_a_ping_replaces_the_connection() -> None:
    async def main() -> None:
        watch, venue = Watch(), Venue()
        venue.answers_pings = False
        async with running(venue), make_feed(venue, watch, ping_interval_s=0.1, pong_timeout_s=0.05):
            await watch.until(lambda: watch.said("disconnected"))
            venue.answers_pings = True
            await watch.until(lambda: len(watch.said("connected")) == 2)
            await venue.until(lambda: venue.peer.pings >= 3)
            assert watch.said("disconnected") == ["pong_timeout"]

    run(main())


def test_a_websocket_ping_is_answered_and_hides_no_frame(tmp_path: Path) -> None:
    async def main() -> None:
        watch, venue, segments = Watch(), Venue(), Segments(tmp_path)
        journal = Journal(segments, wall_ns(), mono_ns())
        async with running(venue), make_feed(venue, watch, journal=journal):
            await watch.until(lambda: (BTC, 100) in watch.books)
            for update_id in range(101, 151):
                # Many pairs, so that some receive batch ends with a ping.
                venue.peer.send(delta(BTC, update_id))
                venue.peer.transport.send_ping(b"x")
            await watch.until(lambda: (BTC, 150) in watch.books)
            await venue.until(lambda: venue.peer.pongs == 50)
        segments.close()

    run(main())


def test_a_close_frame_is_answered_and_its_code_told() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch):
            await watch.until(lambda: (BTC, 100) in watch.books)
            venue.peer.transport.send_close(WSCloseCode.SERVICE_RESTART, b"maintenance")
            await watch.until(lambda: watch.said("disconnected"))
            assert watch.said("disconnected") == ["closed: code 1012 maintenance"]
            await watch.until(lambda: len(watch.said("connected")) == 2)

    run(main())


def test_fragmented_messages_arrive_whole() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch):
            await watch.until(lambda: (BTC, 100) in watch.books)
            message = delta(BTC, 101)
            venue.peer.transport.send(WSMsgType.TEXT, message[:10], False)
            venue.peer.transport.send(WSMsgType.CONTINUATION, message[10:20], False)
            venue.peer.transport.send_ping(b"")
            venue.peer.transport.send(WSMsgType.CONTINUATION, message[20:])
            await watch.until(lambda: (BTC, 101) in watch.books)
            assert len(venue.peers) == 1

    run(main())


@pytest.mark.parametrize("is_fragmented", [False, True])
def test_a_message_over_the_limit_replaces_the_connection(is_fragmented: bool) -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch, message_bytes_max=4096):
            await watch.until(lambda: (BTC, 100) in watch.books)
            if is_fragmented:
                venue.peer.transport.send(WSMsgType.TEXT, "x" * 4000, False)
                venue.peer.transport.send(WSMsgType.CONTINUATION, "x" * 4000, False)
            else:
                venue.peer.send("x" * 5000)
            await watch.until(lambda: len(watch.said("connected")) == 2)
            told = (
                "message_too_big: a message exceeded 4096 bytes" if is_fragmented else "protocol: code 1009"
            )
            assert watch.said("disconnected")[0].startswith(told)
            assert watch.opened(BTC) == ["disconnect"]

    run(main())


def test_bad_bytes_cost_the_connection_nothing() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch) as feed:
            await watch.until(lambda: (BTC, 100) in watch.books)
            for payload in (b"\xff\xfe{", b"{", b'"pong"', b"pong"):
                venue.peer.transport.send(WSMsgType.TEXT, payload)
            venue.peer.send(delta(BTC, 101))
            await watch.until(lambda: (BTC, 101) in watch.books)
            assert len(watch.said("malformed")) == 4
            assert feed.counters["connects"] == 1

    run(main())


def test_a_rejected_topic_harms_no_other() -> None:
    def answer(peer: Peer, request: dict[str, Any]) -> None:
        if ETH in request["args"]:
            peer.ack(request, success=False, reason=f"error:handler not found,topic:{ETH}")
        else:
            obedient(peer, request)

    async def main() -> None:
        watch = Watch()
        async with running(Venue(answer)) as venue, make_feed(venue, watch) as feed:
            await watch.until(lambda: (BTC, 100) in watch.books)
            await watch.until(lambda: len(watch.confirmed()) == 3)
            assert watch.opened(ETH) == ["rejected"]
            assert {topic: state.value for topic, state in feed.topics["linear"].items()} == {
                BTC: "confirmed",
                "publicTrade.BTCUSDT": "confirmed",
                ETH: "parked",
                "publicTrade.ETHUSDT": "confirmed",
            }

    run(main())


def test_a_book_whose_snapshot_never_comes_is_stalled_and_subscribed_anew() -> None:
    def answer(peer: Peer, request: dict[str, Any]) -> None:
        peer.ack(request)
        subscribes = [asked for asked in peer.requests if asked["op"] == "subscribe"]
        if BTC in request["args"] and len(subscribes) > 1:
            peer.send(snapshot(BTC))

    async def main() -> None:
        watch = Watch()
        async with (
            running(Venue(answer)) as venue,
            make_feed(venue, watch, "BTCUSDT", snapshot_timeout_s=0.05),
        ):
            await watch.until(lambda: (BTC, 100) in watch.books)
            assert watch.opened(BTC) == ["stalled"]
            assert watch.closed(BTC) == ["stalled"]

    run(main())


def test_a_callback_that_raises_harms_nothing() -> None:
    class Raising(Watch):
        def on_book(self, book: engine.OrderBook) -> None:
            super().on_book(book)
            raise RuntimeError("a bug of the user's")

    async def main() -> None:
        watch = Raising()
        async with running(Venue()) as venue, make_feed(venue, watch) as feed:
            await watch.until(lambda: (BTC, 100) in watch.books)
            venue.peer.send(delta(BTC, 101))
            await watch.until(lambda: (BTC, 101) in watch.books)
            assert feed.counters["connects"] == 1

    run(main())


def test_topics_beyond_one_connection_get_another_and_fail_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ARGS_BYTES_PER_CONNECTION_MAX", 60)

    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch) as feed:
            await watch.until(lambda: len(watch.confirmed()) == 4)
            by_topic = {topic: peer for peer in venue.peers for topic in peer.requests[0]["args"]}
            assert by_topic[BTC] is not by_topic[ETH]
            by_topic[BTC].transport.disconnect(graceful=False)
            await watch.until(lambda: watch.closed(BTC))
            assert watch.opened(ETH) == []
            described = feed.restate()
            assert [(item["connection"], item["leg"]) for item in described["connections"]] == [
                (1, 0),
                (2, 1),
            ]
            assert set(described["topics"]["linear"]) == set(by_topic)

    run(main())


def test_the_receive_buffer_is_capped() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch, receive_buffer_bytes=32 * 1024) as feed:
            await watch.until(lambda: (BTC, 100) in watch.books)
            transport = feed.connections[0].transport
            assert isinstance(transport, WSTransport)
            raw = transport.underlying_transport.get_extra_info("socket")
            # The kernel doubles what it is asked for.
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 64 * 1024

    run(main())


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(unhandled: list[str]) -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue(), server_tls()) as venue:
            feed = engine.Feed(watch, url=venue.url.replace("ws:", "wss:"), reconnect_delay_s=0.01)
            feed.subscribe("linear", ["BTCUSDT"])
            async with feed:
                await watch.until(lambda: watch.said("connect_failed"))
        assert watch.said("connect_failed")[0].startswith("tls: ")
        assert "self-signed certificate" in watch.said("connect_failed")[0]
        assert venue.peers == []

    run(main())
    # What the server, which is in this process too, makes of a client that hangs up.
    assert all(
        "SSL handshake failed" in error and "SSLTransport_Socket server" in error for error in unhandled
    )
    unhandled.clear()


def test_a_certificate_of_a_trusted_authority_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))

    async def main() -> None:
        watch = Watch()
        async with running(Venue(), server_tls()) as venue:
            feed = engine.Feed(watch, url=venue.url.replace("ws:", "wss:"))
            feed.subscribe("linear", ["BTCUSDT"])
            async with feed:
                await watch.until(lambda: (BTC, 100) in watch.books)

    run(main())


def test_the_journal_replays_to_the_same_calls(tmp_path: Path) -> None:
    async def record(segments: Segments) -> Watch:
        watch, venue = Watch(), Venue()
        journal = Journal(segments, wall_ns(), mono_ns())
        async with running(venue), make_feed(venue, watch, journal=journal):
            await watch.until(lambda: len(watch.confirmed()) == 4)
            for update_id in (101, 102, 105):
                venue.peer.send(delta(BTC, update_id))
            await watch.until(lambda: watch.closed(BTC))
            venue.peer.transport.disconnect(graceful=False)
            await watch.until(lambda: len(watch.closed(ETH)) == 1)
        journal.commit()
        return watch

    segments = Segments(tmp_path)
    live = run(record(segments))
    replayed = Watch()
    dispatcher = engine.Dispatcher("linear", replayed)
    segments.replay(dispatcher)
    segments.close()

    def told(watch: Watch) -> list[object]:
        gaps = [(gap.topic, gap.cause, gap.id, gap.start_ns, gap.end_ns, gap.position) for gap in watch.gaps]
        events = [
            (event.kind, event.topic, event.detail, event.recv_ns, event.position) for event in watch.events
        ]
        return [watch.books, gaps, events]

    assert told(replayed) == told(live)
    assert len(live.gaps) > 4


def test_a_decision_that_no_journal_takes_is_obeyed_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        watch = Watch()
        journal = Journal(Segments(tmp_path), wall_ns(), mono_ns())
        async with running(Venue()) as venue, make_feed(venue, watch, journal=journal) as feed:
            await watch.until(lambda: (BTC, 100) in watch.books)
            book = feed.book("linear", "BTCUSDT", 50)
            assert book is not None
            journal.close()
            venue.peer.transport.disconnect(graceful=False)
            await watch.until(lambda: watch.opened(BTC))
            assert book.state == engine.BookState.STALE
            assert feed.counters["faults"] > 0

    run(main())


def test_an_async_iterator_gives_copies_and_counts_what_it_drops() -> None:
    async def main() -> None:
        stream, watch = engine.Stream(capacity=5), Watch()
        async with running(Venue()) as venue:
            feed = make_feed(venue, engine.Fanout(stream, watch), "BTCUSDT")
            async with feed:
                books: list[engine.OrderBook] = []
                async for item in stream:
                    if isinstance(item, engine.OrderBook):
                        books.append(item)
                        venue.peer.send(delta(BTC, item.update_id + 1))
                    if len(books) == 3:
                        break
                assert [book.update_id for book in books] == [100, 101, 102]
                assert stream.dropped == 0
                for update_id in range(104, 114):
                    venue.peer.send(delta(BTC, update_id))
                await watch.until(lambda: (BTC, 113) in watch.books)
                assert stream.dropped == 6
            stream.close()
            assert len([item async for item in stream]) == 5

    run(main())


def test_ctrl_c_ends_run_in_order(tmp_path: Path) -> None:
    program = """
        import engine, sys
        class Quotes(engine.Listener):
            def on_event(self, event):
                print(event.kind, flush=True)
        feed = engine.Feed(Quotes(), url=sys.argv[1])
        feed.subscribe("linear", ["BTCUSDT"], book=50)
        feed.run()
        print("returned", flush=True)
    """

    async def main() -> None:
        async with running(Venue()) as venue:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                textwrap.dedent(program),
                venue.url,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert process.stdout is not None
            assert (await process.stdout.readline()).strip() == b"connected"
            process.send_signal(signal.SIGINT)
            stdout, stderr = await process.communicate()
            assert process.returncode == 0
            # An end on purpose is no disconnection.
            assert stdout.split()[-2:] == [b"closed", b"returned"]
            assert b"disconnected" not in stdout
            assert stderr == b""

    run(main())


def test_misuse_is_refused_with_a_remedy() -> None:
    with pytest.raises(engine.ConfigError, match=r"must be an engine\.Listener"):
        engine.Feed(print)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(engine.EndpointError, match="not encrypted"):
        engine.Feed(Watch(), url="ws://stream.bybit.com")
    with pytest.raises(engine.ConfigError, match="use reconnect_delay_s"):
        engine.Feed(Watch(), reconect_delay_s=1)  # type: ignore[call-arg]  # the mistake under test
    feed = engine.Feed(Watch())
    with pytest.raises(engine.TopicError, match="use 1000"):
        feed.subscribe("linear", ["BTCUSDT"], book=500)
    with pytest.raises(engine.UsageError, match="call subscribe"):
        feed.run()
    with pytest.raises(engine.UsageError, match="'spot' is not subscribed"):
        feed.book("spot", "BTCUSDT", 50)


def test_a_feed_is_used_once() -> None:
    async def main() -> None:
        async with running(Venue()) as venue:
            feed = make_feed(venue, Watch())
            async with feed:
                pass
            with pytest.raises(engine.UsageError, match="make a new Feed"):
                await feed.run_async()

    run(main())


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_ten_reconnects_leave_no_descriptor_behind() -> None:
    async def main() -> None:
        watch = Watch()
        async with running(Venue()) as venue, make_feed(venue, watch, reconnect_delay_s=0.001):
            counts = []
            for cut in range(1, 11):
                await watch.until(lambda cut=cut: len(watch.said("connected")) == cut)
                await watch.until(lambda cut=cut: watch.books.count((BTC, 100)) == cut)
                counts.append(open_descriptors())
                venue.peer.transport.disconnect(graceful=False)
            assert max(counts[2:]) <= counts[1]

    run(main())
