"""Where bytes rest, and the rules of every such place."""
