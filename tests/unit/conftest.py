"""Settings of all unit tests."""

from hypothesis import settings

# A property is about values, not about how busy the machine is: an example that took long is no failure.
settings.register_profile("podium", deadline=None)
settings.load_profile("podium")
