"""`autodesk-exports plugin`: what Meltano needs to know of this tap, made from its settings."""
