"""The friendly lane: rows as named columns in, labels, probabilities, warnings and reasons out.

`message` reads a body's shape, `form` makes a model's columns of named values and says everything that is wrong with them,
`training` tells what training never saw, `answers` writes. All pure: the dialects in `http` put them on the wire.
"""
