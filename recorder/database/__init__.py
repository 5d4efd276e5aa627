"""The places a database may be, and its schema. docs/storage.md."""
