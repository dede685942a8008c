"""All that is known of the three Autodesk APIs, one folder each; no Singer."""
