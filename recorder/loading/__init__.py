"""From the spool into the database, each record once. docs/storage.md."""
