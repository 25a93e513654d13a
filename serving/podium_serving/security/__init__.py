"""Who may ask, and by which certificate this pod is known: keys, tokens and TLS of the public port and gRPC."""
