"""The Token Flex Usage Data API: endpoints, and the queries that its exports run."""
