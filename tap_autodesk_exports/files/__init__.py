"""Whatever was downloaded becomes one CSV file: no Autodesk, no network, no types."""
