"""A small HTTP/1.1 client for all that is not hot: peers, registries, issuers, the collector."""
