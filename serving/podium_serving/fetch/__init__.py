"""Packages: from peers or a registry, checked by content, into the pod's cache."""
