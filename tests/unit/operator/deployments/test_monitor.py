"""The operator asks a monitor on a real socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from evidence_fixtures import FakeMonitor, challenger_evidence, evidence, fake_monitor, finding
from operator_fixtures import FakeClock
from podium_operator.deployments.evidence import Monitored
from podium_operator.deployments.monitor import MonitorReader
from podium_operator.kinds import Key
from podium_operator.runtime.metrics import Metrics
from ports import free_port

pytestmark = pytest.mark.process

CHURN = Key("ModelDeployment", "retention", "churn")
FRAUD = Key("ModelDeployment", "risk", "fraud")
KNOWN = evidence(challenger_evidence(), finding())


@dataclass
class Asking:
    """A reader whose rounds are turned by hand."""

    url: str
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)
    noticed: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = MonitorReader(self.url, "secret", self.metrics, self.clock, 60.0)

    def known(self, key: Key = CHURN, uid: str = "u-1") -> Monitored | None:
        return self.reader.monitored(key, uid, captured=True)

    async def after(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        async with aiohttp.ClientSession() as session:
            await self.reader.round(session, self.noticed.append)

    def counted(self, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value("podium_operator_monitor_requests_total", {"outcome": outcome})


@pytest.fixture
async def monitor() -> AsyncIterator[FakeMonitor]:
    async with fake_monitor() as monitor:
        yield monitor


async def test_each_deployment_is_asked_for_once_a_minute_with_the_token(monitor: FakeMonitor) -> None:
    asking = Asking(monitor.url)
    monitor.answers = {"churn": KNOWN, "fraud": evidence(uid="u-2")}
    assert asking.known() == Monitored()
    asking.known(FRAUD, "u-2")
    for _ in range(6):
        await asking.after(30)
    assert sorted(monitor.asked) == sorted(
        3
        * [
            ("/v1/namespaces/retention/deployments/churn/evidence", "Bearer secret"),
            ("/v1/namespaces/risk/deployments/fraud/evidence", "Bearer secret"),
        ]
    )
    assert asking.known() == Monitored(KNOWN)
    assert asking.counted("Answered") == 6


async def test_deployments_of_a_starting_operator_are_spread_over_the_minute(monitor: FakeMonitor) -> None:
    asking = Asking(monitor.url)
    for number in range(60):
        asking.known(Key("ModelDeployment", "retention", f"churn-{number}"))
    most = 0
    for _ in range(12):
        before = len(monitor.asked)
        await asking.after(5)
        most = max(most, len(monitor.asked) - before)
    assert len(monitor.asked) == 60
    assert most <= 15


async def test_a_reconcile_is_asked_for_when_the_answer_says_something_new(monitor: FakeMonitor) -> None:
    asking = Asking(monitor.url)
    monitor.answers["churn"] = KNOWN
    asking.known()
    for _ in range(3):
        await asking.after(60)
    assert asking.noticed == [CHURN]
    monitor.answers["churn"] = evidence(challenger_evidence(decision="Better"), finding())
    await asking.after(60)
    assert asking.noticed == [CHURN, CHURN]


async def test_figures_alone_are_taken_every_five_minutes(monitor: FakeMonitor) -> None:
    asking = Asking(monitor.url)
    asking.known()
    shown = []
    for minute in range(12):
        monitor.answers["churn"] = evidence(challenger_evidence(units=4000 + minute), finding(message=f"minute {minute}"))
        await asking.after(60)
        found = asking.known()
        assert found is not None
        assert found.evidence is not None
        shown.append(found.evidence.challengers[0].units)
    assert shown == [4000] * 5 + [4005] * 5 + [4010] * 2
    assert asking.noticed == [CHURN] * 3
    monitor.answers["churn"] = evidence(challenger_evidence(units=4012, decision="Worse"), finding())
    await asking.after(60)
    assert asking.noticed == [CHURN] * 4


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(503, "it answers 503", id="busy"),
        pytest.param(302, "it answers 302", id="a redirect is not followed: it would take the token along"),
        pytest.param("{", "what it answers cannot be read: Invalid JSON", id="half an answer"),
        pytest.param('{"namespace": "retention"}', "what it answers cannot be read: Field required", id="another document"),
    ],
)
async def test_a_silent_monitor_is_believed_for_ten_minutes_and_then_no_more(
    monitor: FakeMonitor, answer: int | str, why: str
) -> None:
    asking = Asking(monitor.url)
    monitor.answers["churn"] = KNOWN
    asking.known()
    await asking.after(60)
    monitor.answers["churn"] = answer
    for _ in range(10):
        await asking.after(60)
        assert asking.known() == Monitored(KNOWN)
    assert asking.noticed == [CHURN]
    await asking.after(60)
    found = asking.known()
    assert found is not None
    assert (found.evidence, asking.noticed) == (KNOWN, [CHURN, CHURN])
    assert found.unreachable.startswith(f"the monitor at {monitor.url} has not answered for more than ten minutes: {why}")
    monitor.answers["churn"] = KNOWN
    await asking.after(60)
    assert (asking.known(), len(asking.noticed)) == (Monitored(KNOWN), 3)


async def test_a_monitor_that_is_not_there_is_unreachable_after_ten_minutes() -> None:
    asking = Asking(f"http://127.0.0.1:{free_port()}")
    asking.known()
    for _ in range(11):
        await asking.after(60)
    found = asking.known()
    assert found is not None
    assert found.evidence is None
    assert "has not answered" in found.unreachable
    assert (asking.counted("Failed"), asking.counted("Answered")) == (11, None)


@pytest.mark.parametrize("answer", [404, evidence(finding(), uid="of-the-one-before")])
async def test_what_the_monitor_does_not_know_is_nothing_and_no_fault(monitor: FakeMonitor, answer: object) -> None:
    asking = Asking(monitor.url)
    monitor.answers["churn"] = answer  # type: ignore[assignment] # one of the two kinds of answers
    asking.known()
    await asking.after(60)
    assert asking.known() == Monitored(nothing_known=True)
    assert asking.counted("Unknown") == 1


async def test_nothing_is_asked_of_what_is_not_captured_or_gone(monitor: FakeMonitor) -> None:
    asking = Asking(monitor.url)
    asking.known()
    asking.known(FRAUD)
    assert asking.reader.monitored(CHURN, "u-1", captured=False) is None
    asking.reader.forget(FRAUD)
    await asking.after(60)
    assert monitor.asked == []
    without = Asking("")
    assert without.known() is None


async def test_a_deployment_made_anew_starts_without_the_evidence_of_the_one_before(monitor: FakeMonitor) -> None:
    asking = Asking(monitor.url)
    monitor.answers["churn"] = KNOWN
    asking.known()
    await asking.after(60)
    assert asking.known(uid="u-9") == Monitored()
