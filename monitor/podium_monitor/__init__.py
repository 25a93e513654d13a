"""The monitor: takes captured predictions and keeps them as Parquet."""
