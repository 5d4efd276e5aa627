"""The command line of the simulator."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import uvloop

from simulator.clock import Clock, system_clock, wall_ns
from simulator.errors import MachineError, SimulatorError
from simulator.exchange.exchange import Exchange
from simulator.exchange.faults import describe as describe_exchange_faults
from simulator.exchange.journal import Journal
from simulator.faults import Plan, describe_faults, read_script
from simulator.generated import Generated
from simulator.hub import Hub
from simulator.instruments import CATEGORIES, listings
from simulator.log import FrameLog
from simulator.playback import Playback, read_capture
from simulator.server import Simulator, serve
from simulator.source import Source
from simulator.switches import describe_switches, parse_switches

DEFAULT_SYMBOLS = "linear:BTCUSDT,linear:ETHUSDT,spot:BTCUSDT,spot:ETHUSDT"
DEFAULT_RATE = 100.0
RATE_MIN, RATE_MAX = 0.1, 1_000_000
SPEED_MAX = 1e9
PORT_MAX = 65_535


def _rate(text: str) -> float | None:
    if text == "max":
        return None
    rate = float(text)
    if not RATE_MIN <= rate <= RATE_MAX:
        raise argparse.ArgumentTypeError(f"was {text!r}; use max, or {RATE_MIN} to {RATE_MAX:,}")
    return rate


def _speed(text: str) -> float | None:
    if text == "original":
        return 1.0
    return None if text == "max" else _positive(text)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < SPEED_MAX:
        raise argparse.ArgumentTypeError(f"was {text!r}; use original, max, or a number above 0")
    return value


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"was {text!r}; a port is 0 to {PORT_MAX}")
    return int(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SimulatorError(f"{message}: see --help")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    options = _Parser("simulator", description="A Bybit V5 public market on loopback.")
    options.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    options.add_argument("--port", type=_port, default=0, help="websocket port; 0 is any free one")
    options.add_argument("--rest-port", type=_port, default=0, help="REST port; 0 is any free one")
    options.add_argument(
        "--log", type=Path, help="file that gets `<send_ns> <connection> <frame>` for every frame sent"
    )
    options.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="see --list-switches"
    )
    options.add_argument(
        "--list-switches", action="store_true", help="list doubtful behaviours and their values"
    )
    market = options.add_argument_group("generated market")
    market.add_argument(
        "--symbols", default=DEFAULT_SYMBOLS, help=f"what is listed (default {DEFAULT_SYMBOLS})"
    )
    market.add_argument(
        "--rate", type=_rate, default=DEFAULT_RATE, help="book messages a second in all, or max"
    )
    market.add_argument("--messages", type=int, help="stop once so many data frames were sent")
    market.add_argument("--seed", type=int, default=1, help="the same seed gives the same market")
    market.add_argument("--start-ms", type=int, help="market time to begin at (default: now)")
    trading = options.add_argument_group("exchange")
    trading.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="KEY:SECRET:BALANCE",
        help="open an account; the market becomes an exchange (options: see docs/simulator.md)",
    )
    trading.add_argument("--exchange-log", type=Path, help="JSON lines of every order event and fill")
    trading.add_argument(
        "--count-addresses", action="store_true", help="HTTP 403 above 600 requests in 5 s from an address"
    )
    faults = options.add_argument_group("faults")
    faults.add_argument("--faults", type=Path, metavar="FILE", help="script of faults, JSON or .toml")
    faults.add_argument("--list-faults", action="store_true", help="list the faults and their parameters")
    capture = options.add_argument_group("playback")
    capture.add_argument("--playback", type=Path, help="file of `<recv_ns> <frame>` or plain JSON lines")
    capture.add_argument("--category", choices=CATEGORIES, default="linear", help="category of the file")
    capture.add_argument("--speed", type=_speed, default=1.0, help="original, max, or times the original")
    return options


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; print a JSON line when ready and one at the end of the data."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if arguments.account and arguments.playback:
        raise SimulatorError("--account needs a generated market: name --symbols instead of --playback")
    switches, clock = parse_switches(arguments.switch), system_clock(arguments.start_ms)
    log = FrameLog(arguments.log) if arguments.log else None
    script = read_script(arguments.faults) if arguments.faults else []
    journal = Journal(arguments.exchange_log)
    hub = Hub(log, Plan(script, arguments.seed, wall_ns()))
    try:
        source: Source
        if arguments.playback:
            capture = read_capture(arguments.playback)
            source = Playback(capture, arguments.category, hub, switches, arguments.speed)
        else:
            listed = listings(arguments.symbols)
            limits = {"seed": arguments.seed, "rate": arguments.rate, "messages": arguments.messages}
            source = Generated(listed, hub, switches, clock, **limits)
        ports = {"host": arguments.host, "port": arguments.port, "rest_port": arguments.rest_port}
        exchange = _exchange(arguments, source, hub, clock, journal)
        async with serve(source, hub, switches, clock, **ports, exchange=exchange) as simulator:
            _say({"ready": True, "ws": simulator.ws, "rest": simulator.rest})
            await _until_stopped(simulator, stop)
    finally:
        journal.close()
        if log is not None:
            log.close()


def _exchange(
    arguments: argparse.Namespace, source: Source, hub: Hub, clock: Clock, journal: Journal
) -> Exchange | None:
    """Return the exchange of the accounts that were named, None where there is none."""
    if not arguments.account or not isinstance(source, Generated):
        return None
    exchange = Exchange(
        source,
        hub,
        clock,
        journal=journal,
        seed=arguments.seed,
        counts_addresses=arguments.count_addresses,
    )
    for text in arguments.account:
        exchange.engine.accounts.open_text(text)
    exchange.prepare()
    return exchange


async def _until_stopped(simulator: Simulator, stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, simulator.player}, return_when=asyncio.FIRST_COMPLETED)
    if simulator.player.done():
        simulator.player.result()
        hub = simulator.venue.hub
        _say({"done": True, "frames": hub.frames, "data_frames": hub.data_frames})
    await stopped


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code: 0 after a signal, else that of the error."""
    try:
        given = parser().parse_args(arguments)
        if given.list_switches or given.list_faults:
            faults = f"{describe_faults()}\n{describe_exchange_faults()}"
            sys.stdout.write((describe_switches() if given.list_switches else faults) + "\n")
            return 0
        uvloop.run(run(given))
    except SimulatorError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return error.exit_code
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"simulator: {error.filename or 'a file or socket'}: {reason}: name another\n")
        return MachineError.exit_code
    return 0
