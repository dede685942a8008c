"""Sign-in: how a bearer token is had, and where a rotated one is kept."""
