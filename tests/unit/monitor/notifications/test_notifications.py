"""Who is told what, by real webhooks."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from podium_crds.evidence import ChallengerEvidence, Decision, DeploymentEvidence, Finding
from podium_monitor.evaluator.settings import evaluator_settings_from
from podium_monitor.lake.store import FolderStore
from podium_monitor.notifications import notifier as module
from podium_monitor.notifications.changes import changes
from podium_monitor.notifications.notifier import Notifier
from podium_monitor.notifications.receivers import InvalidReceivers, Receiver, receivers_of
from podium_monitor.settings import InvalidSettings

pytestmark = pytest.mark.process

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def finding(status: Any = "True", severity: Any = "Critical", message: str = "tenure: PSI 0.61") -> Finding:
    return Finding(type="DriftDetected", status=status, reason="DriftDetected", message=message, severity=severity)


def challenger(decision: Decision) -> ChallengerEvidence:
    return ChallengerEvidence(
        name="gradient-boosting",
        version="churn-4",
        digest="sha256:0",
        mode="Shadow",
        nth=1,
        metric="LogLoss",
        minimum_improvement=0.0,
        alpha=0.03,
        tuned_for_units=1000,
        horizon_seconds=0,
        units=1200,
        improvement=0.0213,
        low=0.004,
        high=0.0386,
        decision=decision,
        reasons=["The labels are complete."],
    )


def evidence(*findings: Finding, decision: Decision = "Undecided", uid: str = "u-1") -> DeploymentEvidence:
    return DeploymentEvidence(
        namespace="retention",
        deployment="churn",
        uid=uid,
        evaluated_at=AT,
        findings=list(findings),
        challengers=[challenger(decision)],
    )


@dataclass
class Hook:
    url: str = ""
    status: int = 200
    location: str = ""
    got: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def texts(self) -> list[str]:
        return [str(body["text"]) for _, body in self.got]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if made.status == 200:
                made.got.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            self.send_response(made.status)
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/services/T0SECRET"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def notifier(folder: Path, hook: Hook, **changed: Any) -> Notifier:
    settings = {"name": "on-call", "type": "Slack", "url": hook.url, **changed}
    return Notifier(FolderStore(folder), [Receiver.model_validate(settings)], "https://podium.example.com/")


def test_a_finding_is_told_once_and_again_when_it_is_over(tmp_path: Path, hook: Hook) -> None:
    for status in ("False", "True", "True", "Unknown", "True", "False", "False"):
        notifier(tmp_path, hook).tell(evidence(finding(status)))  # each time as a new process would
    assert len(hook.got) == 2
    begun, over = hook.texts()
    assert "retention/churn: Drift detected" in begun
    assert "tenure: PSI 0.61" in begun
    assert "<https://podium.example.com/deployments/retention/churn|dashboard>" in begun
    assert "Drift detected is over" in over


def test_a_decision_is_told_with_its_interval(tmp_path: Path, hook: Hook) -> None:
    for decision in ("NotEnoughData", "Undecided", "Better", "Better"):
        notifier(tmp_path, hook).tell(evidence(decision=decision))
    [text] = hook.texts()
    assert "gradient-boosting (churn-4): better: LogLoss improves by 0.0213 [0.004, 0.0386] over 1200 units" in text


def test_a_cloud_event_says_the_same_to_machines(tmp_path: Path, hook: Hook) -> None:
    notifier(tmp_path, hook, type="CloudEvents", headers={"Authorization": "Bearer t0ken"}).tell(evidence(finding()))
    [(headers, event)] = hook.got
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["authorization"] == "Bearer t0ken"
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "dev.podium.finding.v1", "DriftDetected")
    assert event["source"] == "/namespaces/retention/modeldeployments/churn"
    assert event["data"]["severity"] == "Critical"
    assert event["data"]["message"] == "tenure: PSI 0.61"


def test_a_receiver_that_was_away_is_told_what_holds_when_it_is_back(
    tmp_path: Path, hook: Hook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_SECONDS", 0.0)
    told = notifier(tmp_path, hook)
    hook.status = 500
    told.tell(evidence(finding(severity="Warning")))
    told.tell(evidence(finding(severity="Critical"), decision="Better"))
    hook.status = 200
    told.tell(evidence(finding(severity="Critical"), decision="Better"))
    assert len(hook.got) == 2
    assert ":red_circle:" in hook.texts()[0]
    assert "was not told (status 500)" in caplog.text
    assert "T0SECRET" not in caplog.text


def test_a_receiver_that_fails_is_left_alone_for_a_while(tmp_path: Path, hook: Hook) -> None:
    outcomes: list[tuple[str, str]] = []
    told = notifier(tmp_path, hook)
    told.count = lambda name, outcome: outcomes.append((name, outcome))
    hook.status = 503
    for _ in range(5):
        told.tell(evidence(finding()))
    assert outcomes == [("on-call", "Failed")]


def test_a_redirect_is_not_followed(tmp_path: Path, hook: Hook) -> None:
    hook.status, hook.location = 302, hook.url
    told = notifier(tmp_path, hook)
    assert module.post(told.receivers[0], "application/json", b"{}") == "status 302"
    hook.status = 307
    assert module.post(told.receivers[0], "application/json", b"{}") == "status 307"
    assert hook.got == []


def test_names_that_clients_sent_become_no_links(tmp_path: Path, hook: Hook) -> None:
    notifier(tmp_path, hook).tell(evidence(finding(message="contract: <!channel> & <http://evil|here>")))
    assert "&lt;!channel&gt; &amp; &lt;http://evil|here&gt;" in hook.texts()[0]
    [(_, body)] = hook.got
    assert (body["parse"], body["unfurl_links"], body["unfurl_media"]) == ("none", False, False)


def test_a_receiver_that_answers_a_byte_at_a_time_is_not_waited_for(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_monitor.notifications.notifier._POST_SECONDS", 0.5)
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 " + b"x" * 1000:
                connection.sendall(bytes([byte]))
                if ended.wait(0.1):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=drip, args=(listening,))
        dripping.start()
        began = time.monotonic()
        notifier(tmp_path, hook, url=f"http://127.0.0.1:{listening.getsockname()[1]}/").tell(evidence(finding("True")))
        assert time.monotonic() - began < 60  # it drips for a hundred seconds
        ended.set()
        dripping.join()
    monkeypatch.undo()
    notifier(tmp_path, hook).tell(evidence(finding("True")))
    assert len(hook.got) == 1, "what was not taken is told by the next"


def test_a_deployment_made_anew_was_told_nothing(tmp_path: Path, hook: Hook) -> None:
    notifier(tmp_path, hook).tell(evidence(finding()))
    notifier(tmp_path, hook).tell(evidence(finding(), uid="u-2"))
    assert len(hook.got) == 2


def test_only_what_a_receiver_wants_is_told(tmp_path: Path, hook: Hook) -> None:
    notifier(tmp_path, hook, namespaces=["payments"]).tell(evidence(finding()))
    notifier(tmp_path, hook, minimumSeverity="Critical").tell(evidence(finding(severity="Warning")))
    assert hook.got == []
    assert changes(evidence(finding(severity="Warning")), {}, "Critical") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("receivers: [", "it is not YAML", id="no-yaml"),
        pytest.param("receivers: [{name: a, type: Teams, url: 'https://x/T0SECRET'}]", "receivers.0.type", id="type"),
        pytest.param("receivers: [{name: a, type: Slack, url: 'ftp://x/T0SECRET'}]", "must begin with https://", id="url"),
        pytest.param("receivers: [{name: a, type: Slack, url: 'https://x/T0SECRET', x: 1}]", "receivers.0.x", id="unknown"),
        pytest.param(
            "receivers: [{name: a, type: Slack, url: 'https://x'}, {name: a, type: Slack, url: 'https://y'}]",
            "share the name 'a'",
            id="twice",
        ),
    ],
)
def test_a_wrong_file_is_refused_without_saying_addresses(text: str, says: str) -> None:
    with pytest.raises(InvalidReceivers, match=says) as told:
        receivers_of(text)
    assert "T0SECRET" not in str(told.value)


def test_no_file_and_an_empty_file_tell_nobody() -> None:
    assert receivers_of("") == receivers_of("receivers: []") == []


def test_the_evaluator_reads_its_receivers_and_names_a_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a2tra2tra2tra2tra2tra2tra2tra2s=")
    file = tmp_path / "receivers.yaml"
    environment = {"PODIUM_COLLECTOR_KEY_FILE": str(tmp_path / "key"), "PODIUM_RECEIVERS_FILE": str(file)}
    assert evaluator_settings_from(environment).receivers == ()
    file.write_text("receivers: [{name: on-call, type: Slack, url: 'https://x/T0SECRET'}]")
    settings = evaluator_settings_from(environment)
    assert [one.name for one in settings.receivers] == ["on-call"]
    assert "T0SECRET" not in repr(settings)
    file.write_text("receivers: 7")
    with pytest.raises(InvalidSettings, match=r"PODIUM_RECEIVERS_FILE: .*receivers.yaml: receivers: "):
        evaluator_settings_from(environment)
