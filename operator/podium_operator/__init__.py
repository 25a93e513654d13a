"""The operator: watches the kinds and makes the cluster match them."""
