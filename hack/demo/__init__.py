"""The demo: a churn model goes from a training script to Kubernetes, is challenged, and is swapped under load."""
