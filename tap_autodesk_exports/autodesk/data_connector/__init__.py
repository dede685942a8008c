"""Data Connector: tables of construction projects, as extracts of an account."""
