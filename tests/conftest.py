"""What every test relies on."""

from hypothesis import settings

settings.register_profile("broker", deadline=None, max_examples=60)
settings.load_profile("broker")
