"""HTTP/2 as gRPC needs it of a server (RFC 9113, RFC 7541), on asyncio's transports. Knows nothing of inference.

Here because grpcio's own server costs 300 µs of CPU time per call in Python, four times what the whole rest of a one-row
request costs; docs/decisions/20261121-grpc.md has the measurements. `frames` and `headers` are pure, `connection` is one
client's socket, `sending` its flow control towards the client.
"""
