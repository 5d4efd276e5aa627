"""Faults, armed by a script: what goes wrong, where and when. No sockets, no clock, no threads."""

from simulator.faults.actions import (
    Binary,
    Change,
    Close,
    Cut,
    Ending,
    Fragments,
    Item,
    Message,
    Mute,
    Peer,
    Ping,
    Raw,
    Refusal,
    Reset,
    RestFault,
    Shape,
    Timed,
    Verdict,
)
from simulator.faults.plan import Plan
from simulator.faults.script import KINDS, describe_faults, read_script

__all__ = [
    "KINDS",
    "Binary",
    "Change",
    "Close",
    "Cut",
    "Ending",
    "Fragments",
    "Item",
    "Message",
    "Mute",
    "Peer",
    "Ping",
    "Plan",
    "Raw",
    "Refusal",
    "Reset",
    "RestFault",
    "Shape",
    "Timed",
    "Verdict",
    "describe_faults",
    "read_script",
]
