"""Hooks of churn-3. A euro paid five years ago is worth more than one paid last month, so the model sees total_charges as the
present value of the payments at the bank's rate. numpy-financial is not in the generic scoring image: an image is built.
"""

import numpy as np
import numpy_financial

YEARLY_RATE = 0.04


def before(columns):
    """total_charges becomes the future value of `tenure` monthly payments of `monthly_charges`: also where it is missing."""
    worth = numpy_financial.fv(YEARLY_RATE / 12, columns["tenure"], -columns["monthly_charges"], 0.0)
    return {**columns, "total_charges": np.asarray(worth, dtype=columns["total_charges"].dtype)}
