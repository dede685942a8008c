"""Registries of columns, as data."""
