"""ModelDeployments: observe, decide, act. Decisions (wish, pools, swap, children, traffic, status) are pure."""
