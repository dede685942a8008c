"""The settings: declared once, read, checked."""

from tap_autodesk_exports.settings.settings import API_URL, Settings, TokenFlexExport

__all__ = ["API_URL", "Settings", "TokenFlexExport"]
