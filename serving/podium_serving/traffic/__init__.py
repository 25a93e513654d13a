"""Who answers a request: the split, forwards within a budget, and mirrors. A challenger can never fail a request."""
