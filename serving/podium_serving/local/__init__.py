"""The same server on one machine, without a cluster: one or several packages from folders, no plan, control or forward port.

A pod serves one model, so that one model's load, crash or swap is no other's; a laptop or an edge device may hold several.
"""
