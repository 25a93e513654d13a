"""What people see of the monitor: pages of all deployments, of one deployment, and of one version."""
