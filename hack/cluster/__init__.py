"""A real Kubernetes on one Linux machine, for development and tests: run as `python3 hack/cluster`."""
