"""The demo's models: trained by examples/churn, packaged, pushed to the cluster's registry, and asked questions."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.load import Question
from demo.manifests import HEADER, Manifest, model_version
from demo.where import ROOT, DemoError, Where

PACKAGES = ("churn-1", "churn-2", "churn-3", "churn-broken")
CHALLENGER = "churn-3"
"""The version that needs its own requirement."""


@dataclass(frozen=True)
class Pushed:
    name: str
    uri: str
    digest: str

    def manifest(self, *, name: str = "", digest: str = "") -> Manifest:
        return model_version(name or self.name, self.uri, digest or self.digest, built=self.name == CHALLENGER)


def train(where: Where, folder: Path) -> str:
    """All packages below `folder`; of what the training script said, what is worth a line."""
    said = where.run(sys.executable, "examples/churn/train.py", "--out", str(folder), timeout=900)
    kept = ("customers to train on", "parity ", "training ", "churn 1", "churn 2", "churn 3", "requests in fixed order")
    return "\n".join(line.strip() for line in said.splitlines() if any(words in line for words in kept))


def push(where: Where, folder: Path) -> dict[str, Pushed]:
    pushed = {}
    for name in PACKAGES:
        uri = f"oci://{where.registry}/models/{name}:1"
        options = ["--insecure"] if where.local else []
        said = where.run(sys.executable, "-m", "podium_cli.main", "push", str(folder / name), uri, *options)
        digest = next((word for word in said.split() if word.startswith("sha256:")), "")
        if not digest:
            raise DemoError(f"`podium push` of {name} printed no digest: {said[:300]}")
        pushed[name] = Pushed(name, uri, digest)
    return pushed


def production_questions(folder: Path) -> list[Question]:
    """The rows kept for production, in their fixed order: {"customer": ..., "body": {...}} per line."""
    questions = []
    for line in (folder / "requests.jsonl").read_text().splitlines():
        row = json.loads(line)
        questions.append(Question(json.dumps(row["body"]).encode(), ((HEADER, str(row["customer"])),)))
    return questions


def in_cents(questions: Sequence[Question], column: str = "total_charges") -> list[Question]:
    """The same questions from an application that began to send one amount in cents: valid, and wrong by a hundred."""
    changed = []
    for question in questions:
        body = json.loads(question.body)
        for tensor in body["inputs"]:
            if tensor["name"] == column:
                tensor["data"] = [None if value is None else value * 100 for value in tensor["data"]]
        changed.append(Question(json.dumps(body).encode(), question.headers))
    return changed


def ensure_cached(name: str) -> Path:
    """A folder of the checkout that git ignores, for what the demo makes."""
    folder = ROOT / ".build" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
