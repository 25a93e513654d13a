"""gRPC: the Open Inference Protocol's `inference.GRPCInferenceService`, health and reflection.

The same validation and the same engine (`calls`) as the HTTP port's. `http2` carries streams, `call` and `streaming` make
calls of them, `reading` and `writing` are the messages, `models` and `infer` what is asked, `server` the port.
"""
