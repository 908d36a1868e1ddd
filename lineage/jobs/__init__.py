"""The clock comes in: what is done again and again, by whoever keeps time."""
