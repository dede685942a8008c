"""The life of an export: no HTTP, no Singer."""
