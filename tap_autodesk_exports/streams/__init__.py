"""The Singer streams: with `tap.py`, the only room that knows the Singer SDK."""
