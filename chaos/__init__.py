"""The room of proofs: the engine against the simulator in virtual time, one named fault after the other.

Imports both; nothing imports it but the ``tapehead`` command and the tests. docs/guarantees.md is what it
proves.
"""
