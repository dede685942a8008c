"""What would keep the tap from loading, found before a run: `autodesk-exports doctor`."""
