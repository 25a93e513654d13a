"""Reason codes: how much each cell of a row moved its prediction away from the mean prediction over background rows.

`cells` swaps cells between rows, `coalitions` says which rows to ask the model about and what their answers mean,
`estimate` adds them up with a bound on the error, `quantity` picks the number that is explained, and `explainer` asks the
model. All but the last are pure.
"""
