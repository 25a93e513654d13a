"""Verification: may this package serve? Measured in the image and under the limits that it will have."""
