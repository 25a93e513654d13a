"""Who looks at the dashboard, and which namespaces they may see."""
