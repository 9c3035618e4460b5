"""A call: authenticate, reserve, forward, settle."""
