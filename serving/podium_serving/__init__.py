"""The scoring container: answers inference requests, splits traffic, and swaps its model without losing a request."""

__version__ = "0.1.0"
"""pyproject.toml's: images hold the package without its metadata."""
