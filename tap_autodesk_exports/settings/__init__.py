"""The settings: declared once, read, checked."""

from tap_autodesk_exports.settings.own_exports import TokenFlexExport
from tap_autodesk_exports.settings.rules import Known
from tap_autodesk_exports.settings.settings import API_URL, Settings

__all__ = ["API_URL", "Known", "Settings", "TokenFlexExport"]
