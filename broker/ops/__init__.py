"""Running it: logs, health, the parent of the workers."""
