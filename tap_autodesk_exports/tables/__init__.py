"""A file becomes a typed table: no Autodesk, no network."""
