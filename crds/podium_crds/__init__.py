"""The kinds and wire formats that every part of Podium shares. Imports no other part, does no I/O."""
