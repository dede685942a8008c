"""The Data Connector API: requests, jobs, the files of extracts, and the published schema."""
