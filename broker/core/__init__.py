"""The rules, pure: no I/O, no clock, the standard library only."""
