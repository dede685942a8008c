"""The three Autodesk APIs as documented: HTTP and shapes, no Singer."""
