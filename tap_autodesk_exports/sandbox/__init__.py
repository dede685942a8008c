"""A local stand-in for the three Autodesk APIs, true to their documentation."""
