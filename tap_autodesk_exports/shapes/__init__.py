"""`autodesk-exports shapes`: what the APIs really answer, in names and kinds, never in values."""
