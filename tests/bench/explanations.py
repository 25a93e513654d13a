"""Are the reason codes right, and what do they cost? Podium's explanations beside exact ones of the same model.

`python tests/bench/explanations.py` (PYTHONPATH=hack:tests) prints one JSON object per model: the largest difference, how
often it lay within the stated bound, and milliseconds of CPU time per explained row. The `shap` package lives in a virtual
environment of its own below ${XDG_CACHE_HOME:-~/.cache}/podium, made at the first run: it needs a compiler of Python code
at run time, which nothing else here should depend on. Both explain the same model against the same background rows on the
same scale.

The reference is interventional TreeSHAP, but for probabilities of boosted trees: there TreeSHAP does not give their Shapley
values, but those of the log-odds, scaled per background row to the difference of the probabilities. So these are checked
against scikit-learn's own answers to every coalition.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from math import factorial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.pipeline import Pipeline

from podium_cli.package import package_pipeline
from podium_serving.explain.explainer import Explainer, Explanation, background_of
from podium_serving.explain.quantity import Options
from podium_serving.model.loaded import LoadedModel
from podium_serving.settings import ModelSettings

SHAP = "0.51.0"
ROWS = 40
_TREE_SHAP = """
import joblib, numpy, shap, sys
folder = sys.argv[1]
given = numpy.load(folder + "/given.npz")
model = joblib.load(folder + "/model.joblib")
output = sys.argv[2]
explainer = shap.TreeExplainer(
    model, given["background"], feature_perturbation="interventional", model_output=output)
values = numpy.asarray(explainer.shap_values(given["rows"], check_additivity=False))
numpy.save(folder + "/shap.npy", values[..., 1] if values.ndim == 3 else values)
"""


@dataclass(frozen=True)
class Case:
    name: str
    model: Any
    features: int
    options: Options
    shap_output: str
    """`model_output` of TreeExplainer on the same scale. Empty: every coalition is asked of scikit-learn."""


def cases() -> list[Case]:
    forest = RandomForestClassifier(n_estimators=20, max_depth=6, random_state=0)
    boosted = GradientBoostingClassifier(n_estimators=40, max_depth=4, random_state=0)
    values = GradientBoostingRegressor(n_estimators=40, max_depth=4, random_state=0)
    forest100 = RandomForestClassifier(n_estimators=100, random_state=0)
    return [
        Case("forest, exact", forest, 7, Options(), "probability"),
        Case("boosted, exact", boosted, 7, Options(), ""),
        Case("boosted, exact, log-odds", boosted, 7, Options(scale="LogOdds"), "raw"),
        Case("boosted regression, exact", values, 7, Options(), "raw"),
        Case("forest, sampled", forest, 30, Options(), "probability"),
        Case("forest of 100, sampled", forest100, 30, Options(), "probability"),
        Case("boosted, sampled", boosted, 9, Options(), ""),
        Case("boosted, sampled, log-odds", boosted, 30, Options(scale="LogOdds"), "raw"),
    ]


def main() -> int:
    python = shap_python()
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    measured = [asyncio.run(compared(case, python)) for case in cases()]
    for result in measured:
        print(json.dumps(result))
    return 0 if all(result["holds"] for result in measured) else 1


def shap_python() -> Path:
    """The interpreter that has shap, and the scikit-learn that the model is pickled with."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podium"
    pins = [f"shap=={SHAP}", *(f"{name}=={version(name)}" for name in ("scikit-learn", "numpy", "joblib"))]
    folder = cache / ("shap-" + "-".join(pin.split("==")[1] for pin in pins))
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True)
        (folder / "complete").touch()
    return python


async def compared(case: Case, python: Path) -> dict[str, Any]:
    names, frame, target = data(case)
    fitted = case.model.fit(frame[names], frame["target"])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        package_pipeline(
            Pipeline([("model", fitted)]), frame, target=target, name="compared", version="1", out=folder / "package"
        )
        model = await LoadedModel.load(folder / "package", ModelSettings())
        background = np.hstack([background_of(model).columns[name] for name in names])
        rows = frame[names].to_numpy()[:: len(frame) // ROWS][:ROWS]
        explanations, milliseconds = await explained(model, names, rows, case.options)
        await model.close()
        if not case.shap_output:
            wanted = np.array([enumerated(lambda asked: fitted.predict_proba(asked)[:, 1], row, background) for row in rows])
            return verdict(case, explanations, wanted, milliseconds)
        wanted = await asyncio.to_thread(tree_shap, python, folder, fitted, background, rows, case.shap_output)
        return verdict(case, explanations, wanted, milliseconds)


def tree_shap(python: Path, folder: Path, fitted: Any, background: Any, rows: Any, output: str) -> Any:
    joblib.dump(fitted, folder / "model.joblib")
    np.savez(folder / "given.npz", background=background, rows=rows)
    subprocess.run([python, "-W", "ignore", "-c", _TREE_SHAP, folder, output], check=True)
    return np.load(folder / "shap.npy")


def enumerated(model: Callable[[Any], Any], row: Any, background: Any) -> Any:
    """Shapley's formula as it is written: the mean of each coalition over the background, each weighed by its size."""
    cells = len(row)
    coalitions = [[bool(mask >> cell & 1) for cell in range(cells)] for mask in range(2**cells)]
    asked = np.concatenate([np.where(coalition, row, background) for coalition in coalitions])
    means = model(asked.astype(np.float32)).reshape(len(coalitions), len(background)).mean(axis=1)
    found = np.zeros(cells)
    for mask, coalition in enumerate(coalitions):
        size = sum(coalition)
        for cell in range(cells):
            if not coalition[cell]:
                weight = factorial(size) * factorial(cells - size - 1) / factorial(cells)
                found[cell] += weight * (means[mask | 1 << cell] - means[mask])
    return found


def data(case: Case) -> tuple[list[str], Any, str]:
    """Measurements of tumours, as floats that FP32 holds exactly: trees in ONNX compare in FP32."""
    loaded = load_breast_cancer(as_frame=True)
    frame = loaded.data.iloc[:, : case.features].astype(np.float32).astype(np.float64)
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    target = loaded.data["mean area"] / 100 if "regression" in case.name else loaded.target
    names = list(frame.columns)
    return names, pandas.concat([frame, target.rename("target")], axis=1), "target"


async def explained(model: LoadedModel, names: list[str], rows: Any, options: Options) -> tuple[list[Explanation], float]:
    explainer = Explainer()
    columns = {name: rows[:, [index]].astype(np.float64) for index, name in enumerate(names)}
    answers = await model.run_aside(columns, len(rows), float("inf"))
    one = {name: array[:1] for name, array in columns.items()}
    await explainer.explain(model, one, 1, {name: array[:1] for name, array in answers.items()}, options, float("inf"))
    began = time.process_time()
    found = await explainer.explain(model, columns, len(rows), answers, options, float("inf"))
    return found, (time.process_time() - began) * 1000 / len(rows)


def verdict(case: Case, explanations: list[Explanation], wanted: Any, milliseconds: float) -> dict[str, Any]:
    values = np.array([explanation.found.values for explanation in explanations])
    bounds = np.array([explanation.found.half_widths for explanation in explanations])
    errors = np.abs(values - wanted)
    exact = not bounds.any()
    covered = float((errors <= bounds + 1e-5).mean())  # FP32 answers here, doubles there
    return {
        "case": case.name,
        "exact": exact,
        "largest_difference": float(errors.max()),
        "mean_bound": float(bounds.mean()),
        "mean_difference": float(errors.mean()),
        "reference": "TreeSHAP" if case.shap_output else "Enumeration",
        "within_bound": covered,
        "rows_asked": float(np.mean([explanation.found.asked for explanation in explanations])),
        "stopped": sorted({explanation.found.stopped.value for explanation in explanations}),
        "cpu_milliseconds_per_row": round(milliseconds, 1),
        "holds": bool(errors.max() <= 1e-4) if exact else covered >= 0.95,
    }


if __name__ == "__main__":
    sys.exit(main())
