"""A running server: one parent that watches, and the workers that serve."""
