"""Student's t distribution, without scipy: the serving process does not carry it. Pure."""

import numpy as np
import numpy.typing as npt

_NORMAL = 2.241402727604947
"""The 98.75 % quantile of the normal distribution."""
_ONE, _TWO = 25.451699579357117, 6.205346816570999
"""The 98.75 % quantiles for 1 and 2 degrees of freedom, where the expansion is too low."""


def quantile_9875(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The 98.75 % quantile for each number of degrees of freedom; below 3 that of the next lower integer, at least 1.

    Source: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.7.5, with four terms: within 0.3 % from
    3 degrees on, within 0.01 % from 10.

    >>> quantile_9875(np.array([1.0, 5.0, 10.0, 1e9])).round(2).tolist()
    [25.45, 3.16, 2.63, 2.24]
    """
    x, n = _NORMAL, np.maximum(degrees, 1.0)
    expanded = (
        x
        + (x**3 + x) / (4 * n)
        + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * n**2)
        + (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / (384 * n**3)
        + (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / (92160 * n**4)
    )
    return np.where(n < 2, _ONE, np.where(n < 3, _TWO, expanded))
