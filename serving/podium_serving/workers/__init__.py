"""Several processes that serve as one pod: a supervisor that speaks to the operator, and workers that speak to clients."""
