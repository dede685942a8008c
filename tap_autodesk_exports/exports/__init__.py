"""The life of an export; no Singer.

`runner.py` is that life, in order; `export.py` holds its words, and what an API must offer for it;
`ledger.py` is what of it is kept in the state, and `download.py` fetches the files at its end.
"""
