"""What is written of single requests: spans for tracing, lines for the access log. Never bodies, keys or tokens."""
