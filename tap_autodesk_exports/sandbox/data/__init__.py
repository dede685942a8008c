"""Made-up data: the same people, teams and projects in all three APIs, from a seed."""
