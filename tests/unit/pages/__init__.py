"""The page layer."""
