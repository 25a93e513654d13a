"""Evidence as the monitor tells it, and a monitor on a real socket that tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, Finding
from ports import free_port

EVALUATED_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def challenger_evidence(**changed: Any) -> ChallengerEvidence:
    """Of neural-net with version churn-5, which is not decided yet."""
    facts: dict[str, Any] = {
        "name": "neural-net",
        "version": "churn-5",
        "digest": "sha256:5",
        "mode": "Shadow",
        "nth": 1,
        "metric": "LogLoss",
        "minimum_improvement": 0.01,
        "alpha": 0.03,
        "tuned_for_units": 1000,
        "horizon_seconds": 0,
        "units": 4120,
        "improvement": 0.0131234,
        "low": 0.0021,
        "high": 0.0241,
        "decision": "Undecided",
    }
    return ChallengerEvidence.model_validate({**facts, **changed})


def finding(type_: str = "DriftDetected", status: str = "True", reason: str = "InputsDrifted", message: str = "") -> Finding:
    said = message or "PSI of tenure is 0.31, above 0.25"
    return Finding.model_validate({"type": type_, "status": status, "reason": reason, "message": said})


def evidence(*found: ChallengerEvidence | Finding, uid: str = "u-1", **changed: Any) -> DeploymentEvidence:
    return DeploymentEvidence(
        namespace=changed.pop("namespace", "retention"),
        deployment=changed.pop("deployment", "churn"),
        uid=uid,
        evaluated_at=EVALUATED_AT,
        challengers=[item for item in found if isinstance(item, ChallengerEvidence)],
        findings=[item for item in found if isinstance(item, Finding)],
    )


@dataclass
class FakeMonitor:
    """Answers by name of the deployment; an int is a status without a word. What it is asked is kept."""

    url: str
    answers: dict[str, DeploymentEvidence | int | str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization."""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("Authorization", "")))
        answer = self.answers.get(request.match_info["name"], 404)
        if isinstance(answer, int):
            return web.Response(status=answer, headers={"Location": self.url} if answer == 302 else {})
        text = answer if isinstance(answer, str) else answer.model_dump_json()
        return web.Response(text=text, content_type="application/json")


@asynccontextmanager
async def fake_monitor(host: str = "127.0.0.1") -> AsyncIterator[FakeMonitor]:
    port = free_port()
    monitor = FakeMonitor(f"http://{host}:{port}")
    app = web.Application()
    app.router.add_get("/v1/namespaces/{namespace}/deployments/{name}/evidence", monitor.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield monitor
    finally:
        await runner.cleanup()
