"""The Open Inference Protocol v2: bytes to columns and back, strictly against a model's own schema.

Pure: no HTTP, no I/O, no clock. `tensors` says what one tensor must be, `codec` reads and writes whole JSON messages.
Binary tensors and gRPC will be codecs beside it that fill the same columns from the same tensor schemas.
"""
