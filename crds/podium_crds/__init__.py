"""The kinds, the wire formats, and the arithmetic of fairness that every part of Podium shares. Imports no other part, does
no I/O."""
