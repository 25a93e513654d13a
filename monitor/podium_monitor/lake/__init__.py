"""The lake: Parquet files in hive folders, each written once, whole and durably, and documents beside them.

    predictions/namespace=shop/deployment=churn/date=2026-11-21/hour=13/<received>-<unique>.parquet
    shadows/…  labels/…

`store` keeps files, on a folder or in a bucket; `tables` says what is in them and where; `reading` is for all who ask.
`writer` adds rows; `replacing`, `compaction`, `retention` and `erasure` change what lies there. Why it looks like this:
docs/decisions/20261121-capture-lake.md.
"""
