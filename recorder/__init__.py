"""The recorder: capture into a spool, load into ClickHouse, and the ``tapehead`` command."""

__version__ = "0.1.0"
