"""Hooks of churn-3: total_charges becomes what the customer is still bound to pay, at its present value.

A customer whose contract runs out next month can leave; one with twenty months to go cannot. numpy-financial is not in the
generic scoring image, so an image is built for this version, and without the hook the model answers nonsense.
"""

import numpy as np
import numpy_financial

YEARLY_RATE = 0.04
_TERM_MONTHS = {"Month-to-month": 1, "One year": 12, "Two year": 24}


def before(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Present value of the payments until the contract's end, never missing: an unknown contract counts as monthly."""
    terms = np.array([_TERM_MONTHS.get(contract, 1) for contract in columns["contract"][:, 0]]).reshape(-1, 1)
    served = np.nan_to_num(columns["tenure"])
    months_left = terms - np.mod(served, terms)
    bound = numpy_financial.pv(YEARLY_RATE / 12, months_left, -np.nan_to_num(columns["monthly_charges"]))
    return {**columns, "total_charges": np.asarray(bound, dtype=columns["total_charges"].dtype)}
