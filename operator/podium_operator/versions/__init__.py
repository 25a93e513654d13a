"""ModelVersion: from a package in a registry to a verified image. Reads in `reconciler`, decides in `decision`."""
