"""From what is known to what a page shows: pure, no store, no clock, no request."""
