"""Broker lends AI provider keys to apps, within limits that a person approved."""

__version__ = "0.1.0"
