"""Reads a table of the lake with Spark as docs/guide/lake.md says, and writes what it found as JSON."""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession  # type: ignore[import-not-found]  # in a venv of its own

table, names, answers = sys.argv[1:]
session = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "1")
    .getOrCreate()
)
frame = session.read.option("mergeSchema", "true").parquet(table).dropDuplicates(["event_id"])
quoted = [f"`{name}`" for name in names.split(",")]
rows = [list(row) for row in frame.select(*quoted).orderBy("event_id").collect()]
types = [frame.select(name).schema[0].dataType.simpleString() for name in quoted]
Path(answers).write_text(json.dumps({"types": types, "rows": rows}, default=str), encoding="utf-8")
session.stop()
