"""Labels to post, and how their requests look."""

import io
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from monitor_fixtures import KEY, SOURCE, CollectorProcess
from podium_crds.capture import label_token

JSON = "application/json"
LINES = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"


def label(key: str, value: Any = "yes", **more: Any) -> dict[str, Any]:
    return {"join_key": key, "label": value, **more}


def lines(labels: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in labels)


def parquet(columns: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink)
    return sink.getvalue()


async def post_labels(
    session: aiohttp.ClientSession,
    collector: CollectorProcess,
    body: Any,
    media: str = JSON,
    *,
    source: str = SOURCE,
    query: str = "",
    **headers: str,
) -> tuple[int, Any]:
    """`body`: bytes, or what becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = {"Authorization": f"Bearer {label_token(KEY, source)}", "Content-Type": media, **headers}
    async with session.post(f"{collector.url}/v1/labels{query}", data=io.BytesIO(content), headers=said) as response:
        return response.status, await response.json()


def asked(collector: CollectorProcess, sql: str) -> list[tuple[Any, ...]]:
    """What DuckDB answers; `labels` and `predictions` are the tables as they lie in the lake."""
    with duckdb.connect() as connection:
        for table in ("labels", "predictions"):
            files = sorted(str(path) for path in collector.lake.glob(f"{table}/**/*.parquet"))
            if files:
                rows = "read_parquet(?, union_by_name=true, hive_partitioning=true)"
                connection.execute(f"create table {table} as select * from {rows}", [files])
        return connection.execute(sql).fetchall()
