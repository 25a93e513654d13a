"""Captured predictions: kept in a bounded buffer, sent in batches to the monitor, never in a request's way."""
