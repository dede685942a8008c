"""HTTP that ends, remembers nothing, and says what went wrong: `exchange.py`, `failures.py`."""
