"""What a run is doing right now: one line a minute in a log, a calm display on a terminal."""
