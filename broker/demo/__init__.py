"""A provider to play with, an app that asks for access to it, and the command that starts both beside a broker.

Nothing here imports the rest of Broker: both talk to it over HTTP, as strangers do.
"""
