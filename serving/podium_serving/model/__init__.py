"""One version of a model in memory: read its package, load it, run it, and check it against its golden rows."""
