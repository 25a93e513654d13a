"""Tells people and systems by webhook what changed: a finding that began or ended, a challenger's decision."""
