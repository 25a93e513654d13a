"""The collector that one writes in an afternoon: json.loads, a pandas frame per batch, to_parquet, fsync, 200.

It does less than ours: no check of the events, no duplicates, no filing by hour, a file per batch.
"""

import json
import os
import sys
import uuid
from pathlib import Path

import pandas as pd
import uvicorn
from fastapi import FastAPI, Request

LAKE = Path(sys.argv[1])
app = FastAPI()


@app.get("/readyz")
def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v1/events")
async def events(request: Request) -> dict[str, int]:
    batch = json.loads(await request.body())
    rows = [
        {
            "event_id": one["id"],
            "time": one["time"],
            **one["data"],
            "inputs": json.dumps(one["data"]["inputs"]),
            "outputs": json.dumps(one["data"]["outputs"]),
        }
        for one in batch
    ]
    frame = pd.DataFrame(rows)
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    path = LAKE / f"{uuid.uuid4().hex}.parquet"
    frame.to_parquet(path, compression="zstd")
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return {"accepted": len(rows)}


if __name__ == "__main__":
    LAKE.mkdir(parents=True, exist_ok=True)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
