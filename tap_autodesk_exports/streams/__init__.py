"""The Singer streams: the only room that knows the Singer SDK."""
