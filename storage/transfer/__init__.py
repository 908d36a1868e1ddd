"""Between a working tree and the store."""
