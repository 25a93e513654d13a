"""The Open Inference Protocol v2: bytes to columns and back, strictly against a model's own schema.

Pure: no HTTP, no I/O, no clock. `tensors` says what one tensor must be, `binary` what it is as raw bytes, `messages` what
the JSON looks like; `codec` reads and writes whole messages.
"""
