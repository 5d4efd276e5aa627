"""The log on disk: written, sealed, kept, read, checked. docs/spool.md."""
