"""The recorder: spool, capture, loader, supervisor, and the ``tapehead`` command."""
