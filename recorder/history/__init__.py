"""Books at a time. docs/storage.md."""
