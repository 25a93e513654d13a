"""The scoring container: answers inference requests, splits traffic, and swaps its model without losing a request."""
