"""podium.dev/v1alpha1: the kinds as users write them. The CRD YAML is generated from these types."""
