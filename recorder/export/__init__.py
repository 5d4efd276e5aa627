"""Files for other tools, made from the tables: one module a format (docs/export.md)."""
