"""`autodesk-exports plan`: extracts shared out among workers, accounts among the hours."""
