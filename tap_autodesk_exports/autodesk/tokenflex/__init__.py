"""Token Flex: consumption of tokens of enterprise contracts."""
