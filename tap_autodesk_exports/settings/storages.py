"""Storages behind URLs, and the extra of this package that each needs."""

from __future__ import annotations

from types import MappingProxyType

EXTRAS = MappingProxyType(
    {
        "s3": "s3",
        "s3a": "s3",
        "gs": "gcs",
        "gcs": "gcs",
        "az": "azure",
        "abfs": "azure",
        "abfss": "azure",
    }
)
"""Scheme of a URL -> the extra that it needs."""


def missing_extra(location: str) -> str | None:
    """Return the extra that a path or URL needs and that is not installed; None where it is."""
    scheme, separator, _ = location.partition("://")
    extra = EXTRAS.get(scheme.lower())
    if not separator or extra is None:
        return None
    import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        fsspec.get_filesystem_class(scheme.lower())
    except ImportError:
        return extra
    return None
