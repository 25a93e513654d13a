"""What the lake says for and against each challenger: gathered in the order of the predictions, kept, and told.

    evidence/namespace=…/deployment=…/ledger.json      which challengers there were, and how traffic was split
    evidence/namespace=…/deployment=…/trial-<n>.json   where the n-th one's evidence stands
    evidence/namespace=…/deployment=…/seen-<n>-….keys  keys that have been a unit of it
    evidence/namespace=…/deployment=…/latest.json      what is told

docs/guide/evidence.md says what all of it means; podium_evaluation.evidence has the statistics.
"""
