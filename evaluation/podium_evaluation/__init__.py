"""What a model is worth, in figures that a statistician would sign: drift, performance, evidence. Pure: arrays in,
numbers out.

The monitor and the command line compute with this one package, so that what is checked offline is what is acted on.
"""
