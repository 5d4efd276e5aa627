"""SQL on a recording, also while it is being recorded. docs/storage.md."""
