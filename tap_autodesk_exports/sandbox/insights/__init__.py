"""The Insights API (Business Success Plan Reporting): endpoints, exports and their files."""
