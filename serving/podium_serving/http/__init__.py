"""HTTP: the fast lane for inference, Starlette for everything that is not hot, and the server's life from bind to drain."""
