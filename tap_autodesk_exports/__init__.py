"""Singer tap for the Autodesk APIs that give data out as asynchronous exports."""
