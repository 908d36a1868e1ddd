"""`lineage demo`: a small machine-learning project, real from end to end, told with the public interface."""
