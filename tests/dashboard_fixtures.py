"""Deployments as a busy cluster has them: healthy, drifting, degraded, without labels, with challengers. Seeded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from podium_crds.evidence import (
    ChallengerEvidence,
    Decision,
    DeploymentEvidence,
    Finding,
    GuardrailState,
    Look,
    SampleRatio,
)
from podium_crds.package import Descriptor
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus
from podium_evaluation.documents import (
    DOCUMENT_FORMAT,
    Arm,
    ColumnDrift,
    ColumnFairness,
    ColumnQuality,
    Curve,
    DeploymentEvaluation,
    Figure,
    Group,
    Happening,
    Histogram,
    Segment,
    Severity,
    Window,
    evaluation_path,
    with_outlines,
)
from podium_monitor.access import Identity
from podium_monitor.dashboard.sources import Sources
from podium_monitor.dashboard.views.glance import Glance, glance_of
from podium_monitor.evaluations.daily import DRIFTED
from podium_monitor.evaluations.parts import Parts
from podium_monitor.lake.store import Store
from podium_monitor.world import Watched, WatchedVersion

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0)
DIGEST = "sha256:" + "3" * 64
COLUMNS = (
    "tenure", "monthly_charges", "total_charges", "contract", "payment_method", "internet_service", "online_security",
    "tech_support", "age", "region", "device_protection", "streaming_tv", "paperless_billing", "partner", "dependents",
    "calls_to_support", "days_since_contact", "data_used_gb", "minutes_used", "roaming_minutes", "discount", "channel",
    "card_age_days", "late_payments", "promotions_seen", "app_logins", "complaints", "household_size", "plan", "score_last",
)  # fmt: skip
HOSTILE = '<script>alert("x")</script>\' onload=alert(1) &amp; "><img src=x onerror=alert(2)>'


def figure(value: float, half: float, alert: bool = False) -> Figure:
    return Figure(round(value, 4), round(value - half, 4), round(value + half, 4), alert, alert)


@dataclass
class Story:
    """What happens to a deployment over its days."""

    name: str = "churn"
    namespace: str = "retention"
    seed: int = 7
    days: int = 90
    columns: Sequence[str] = COLUMNS
    drifting: Sequence[str] = ("total_charges", "payment_method")
    drift_from: int = 62
    auc: float = 0.872
    falls: float = 0.055
    label_lag_days: int = 9
    labelled: bool = True
    challengers: Sequence[tuple[str, Decision]] = (("gradient-boosting", "Better"), ("neural-net", "Undecided"))
    hostile: bool = False
    chance: Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = Random(f"{self.seed}/{self.name}")

    def drifts(self, day: int, column: str) -> bool:
        return column in self.drifting and day >= self.drift_from


def watched(story: Story) -> Watched:
    modes = ("Shadow", "Canary")
    challengers = [
        {
            "name": name,
            "modelVersionRef": {"name": f"{story.name}-{index + 4}"},
            "mode": modes[index % 2],
            **({"percent": 10} if index % 2 else {}),
        }
        for index, (name, _) in enumerate(story.challengers)
    ]
    spec = {
        "champion": {"modelVersionRef": {"name": f"{story.name}-3"}},
        "challengers": challengers,
        "monitoring": {
            "performance": [{"metric": "Auc", "minimum": "0.83"}],
            "segments": ["contract", "region"],
            "fairness": {"protected": ["gender"], "minimumRatio": "0.8"},
            "business": [{"name": "margin", "unit": "EUR", "expression": "outcome.margin - 2 * prediction", "minimum": "1"}],
        },
    }
    names = [f"{story.name}-3", *(f"{story.name}-{index + 4}" for index in range(len(story.challengers)))]
    return Watched(
        namespace=story.namespace,
        name=story.name,
        uid=f"uid-{story.name}",
        created_at="2026-06-01T08:00:00Z",
        spec=ModelDeploymentSpec.model_validate(spec),
        status=ModelDeploymentStatus.model_validate(_status(story)),
        versions={name: version(name) for name in names},
    )


def _status(story: Story) -> dict[str, object]:
    canary = 10 if len(story.challengers) > 1 else 0
    shares = [{"version": f"{story.name}-3", "role": "champion", "percent": 100 - canary}]
    if canary:
        shares.append({"version": f"{story.name}-5", "role": story.challengers[1][0], "percent": canary})
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": f"3 pods answer with {story.name}-3",
        "lastTransitionTime": "2026-10-02T09:13:20Z",
    }
    return {
        "conditions": [ready],
        "champion": {"modelVersion": f"{story.name}-3", "digest": DIGEST, "since": "2026-10-02T09:13:20Z", "replicas": 3},
        "endpoint": {
            "url": f"http://{story.name}.{story.namespace}.svc/v2/models/{story.name}",
            "docs": f"http://{story.name}.{story.namespace}.svc/docs",
        },
        "traffic": shares,
    }


def version(name: str) -> WatchedVersion:
    spec = {"artifact": {"uri": f"oci://registry.example.com/models/{name.rpartition('-')[0]}:{name}", "digest": DIGEST}}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Verified",
        "message": "All 100 golden rows were reproduced",
        "lastTransitionTime": "2026-10-01T09:00:00Z",
    }
    facts = {
        "goldenRows": 100,
        "flippedLabels": 0,
        "worstAbsoluteError": "2.1e-07",
        "p99Milliseconds": "3.2",
        "peakMemoryBytes": 187_000_000,
        "schemaDigest": DIGEST,
        "inputs": "tenure FP32, contract BYTES",
        "outputs": "label BYTES, probabilities FP32",
    }
    status = {"conditions": [ready], "image": f"registry.example.com/podium/serving@{DIGEST}", "verification": facts}
    return WatchedVersion(name, ModelVersionSpec.model_validate(spec), ModelVersionStatus.model_validate(status))


def card(
    documentation: str = "Who will leave within 30 days.\n\nTrained on contracts of 2025. Not for business customers.",
) -> Descriptor:
    return Descriptor.model_validate(
        {
            "name": "churn",
            "version": "3",
            "task": "Classification",
            "inputs": [
                {"name": "tenure", "datatype": "FP32", "shape": [-1], "minimum": 0, "maximum": 72},
                {"name": "contract", "datatype": "BYTES", "shape": [-1], "categories": ["month", "year", "two years"]},
            ],
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [-1], "kind": "Label", "classes": ["no", "yes"]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2], "kind": "Probabilities"},
            ],
            "training": {
                "framework": "scikit-learn",
                "framework_version": "1.7.2",
                "rows": 5282,
                "metrics": {"auc": 0.874, "log_loss": 0.402, "accuracy": 0.81},
            },
            "documentation": documentation,
        }
    )


def evaluation(story: Story) -> DeploymentEvaluation:
    arms = [_arm(story, "champion", f"{story.name}-3", 0.0)]
    arms += [
        _arm(story, name, f"{story.name}-{index + 4}", 0.012 - 0.008 * index, index % 2 == 0)
        for index, (name, _) in enumerate(story.challengers)
    ]
    return DeploymentEvaluation(
        namespace=story.namespace,
        deployment=story.name,
        uid=f"uid-{story.name}",
        evaluated_at=NOW - timedelta(minutes=3),
        arms=arms,
        label_coverage=0.913 if story.labelled else None,
        label_delay_p50_seconds=6.2 * 86_400 if story.labelled else None,
        label_delay_p90_seconds=8.9 * 86_400 if story.labelled else None,
        diagnosis=_diagnosis(story),
        timeline=_timeline(story),
    )


def _diagnosis(story: Story) -> list[str]:
    if not story.drifting:
        return []
    since = MIDNIGHT - timedelta(days=story.days - story.drift_from)
    fell = f"AUC fell from {story.auc:.3f} to {story.auc - story.falls:.3f} since {since:%Y-%m-%d}"
    return [
        f"{fell}; {story.drifting[0]} (PSI 0.41, importance 0.22) explains most of it.",
        f"{story.drifting[0]} looks as if its unit had changed: its median is 61.3 times the reference's.",
    ]


def _timeline(story: Story) -> list[Happening]:
    drifted = MIDNIGHT - timedelta(days=story.days - story.drift_from)
    happenings = [Happening(datetime(2026, 10, 2, 9, 13, tzinfo=UTC), "Version", f"{story.name}-3 became champion.")]
    if story.challengers:
        name = story.challengers[0][0]
        happenings += [
            Happening(datetime(2026, 10, 9, 8, 0, tzinfo=UTC), "Traffic", f"{name} joined as a shadow."),
            Happening(datetime(2026, 11, 12, 6, 0, tzinfo=UTC), "Evidence", f"{name} is better: 0.013 (0.0104 to 0.0156)."),
        ]
    if story.drifting:
        text = f"{story.drifting[0]} drifted: PSI 0.41, above 0.25 and what chance makes of it."
        happenings.append(Happening(drifted, "Drift", text, "Critical"))
    return sorted(happenings, key=lambda one: one.at, reverse=True)


def _arm(story: Story, name: str, version: str, better: float, shadow: bool = False) -> Arm:
    role = "Champion" if name == "champion" else "Shadow" if shadow else "Canary"
    days = [
        _window(story, day, MIDNIGHT - timedelta(days=story.days - day), timedelta(days=1), better)
        for day in range(story.days)
    ]
    hours = [
        _window(story, story.days - 1, NOW - timedelta(hours=72 - hour), timedelta(hours=1), better) for hour in range(72)
    ] if name == "champion" else []  # fmt: skip
    grid = [index / 40 for index in range(41)]
    return Arm(
        name=name,
        version=version,
        role=role,  # type: ignore[arg-type]  # one of the three above
        days=days,
        hours=hours,
        histograms=_histograms(story) if name == "champion" else [],
        calibration=Curve([0.05 + 0.1 * i for i in range(10)], [min(1, 0.03 + 0.1 * i * (1.04 + better)) for i in range(10)])
        if story.labelled
        else None,
        roc=Curve(grid, [x ** (0.22 - better) for x in grid]) if story.labelled else None,
        lift=Curve(grid[1:], [1 + (2.4 + 8 * better) * math.exp(-3 * x) * (1 - x) for x in grid[1:]])
        if story.labelled
        else None,
    )


def _window(story: Story, day: int, start: datetime, long: timedelta, better: float) -> Window:
    noise = story.chance.gauss
    rows = int((5200 + 900 * math.sin(day / 7 * 2 * math.pi)) * (long / timedelta(days=1))) + story.chance.randint(0, 200)
    auc = story.auc + better - (story.falls if day >= story.drift_from and story.drifting else 0) + noise(0, 0.004)
    known = story.labelled and day < story.days - story.label_lag_days
    labelled = int(rows * 0.91) if known else 0
    performance = {}
    if known:
        performance = {
            "auc": figure(auc, 0.011, auc + 0.011 < 0.83),
            "accuracy": figure(auc - 0.06 + noise(0, 0.003), 0.009),
            "log_loss": figure(1.16 - 0.86 * auc, 0.012),
            "brier": figure(0.38 - 0.27 * auc, 0.006),
        }
    half = 0.006 if long.days else 0.03
    return Window(
        start=start,
        end=start + long,
        rows=rows,
        labelled=labelled,
        performance=performance,
        estimated={"auc": figure(story.auc + better + noise(0, 0.003), half), "accuracy": figure(story.auc - 0.06, half)},
        drift={column: _drift(story, day, column) for column in story.columns},
        prediction_drift={"probabilities[yes]": _drift(story, day, "probabilities[yes]")},
        quality={column: _quality(story, day, column) for column in story.columns},
        fairness=[_fairness(story, rows, labelled)],
        segments=_segments(story, rows, labelled, auc) if known else [],
        business={"margin": figure(3.1 + 20 * better + noise(0, 0.15), 0.31)} if known else {},
        importance_shift=round(0.02 + abs(noise(0, 0.01)) + 0.2 * (day >= story.drift_from), 3) if long.days else None,
        diagnosis=[f"{name}{DRIFTED}0.38): its median is 61.3 times the reference's" for name in _moved(story, day)]
        if long.days
        else [],
        totals={"margin": round(rows * (3.1 + 20 * better), 2)} if known else {},
        latency_p50_seconds=0.0021 + abs(noise(0, 0.0001)),
        latency_p99_seconds=0.0098 + abs(noise(0, 0.0009)),
        fallbacks=story.chance.randint(0, 3),
    )


def _moved(story: Story, day: int) -> list[str]:
    return [column for column in story.columns if story.drifts(day, column)]


def _drift(story: Story, day: int, column: str) -> ColumnDrift:
    moved = story.drifts(day, column)
    psi = abs(story.chance.gauss(0.38, 0.04)) if moved else abs(story.chance.gauss(0.015, 0.012))
    severity: Severity = "Critical" if moved and psi > 0.25 else "Warning" if moved else "None"
    return ColumnDrift(
        psi=round(psi, 4),
        psi_threshold=0.0123,
        severity=severity,
        alert=moved,
        statistic=round(psi / 2, 4),
        p_value=1e-12 if moved else round(story.chance.random(), 3),
        jensen_shannon=round(math.sqrt(psi) / 2, 4),
        wasserstein=round(psi, 4),
    )


def _quality(story: Story, day: int, column: str) -> ColumnQuality:
    if column == "region" and day >= story.drift_from:
        return ColumnQuality(missing=0.12, unseen=0.03)
    return ColumnQuality(missing=0.002 if column == "age" else 0.0)


def _fairness(story: Story, rows: int, labelled: int) -> ColumnFairness:
    def rates(name: str, share: float, selected: float) -> Group:
        n = int(rows * share)
        return Group(
            name,
            n,
            int(labelled * share),
            figure(selected, 0.012),
            figure(0.71 + selected / 10, 0.03) if labelled else Figure(None),
            figure(0.12 + selected / 10, 0.02) if labelled else Figure(None),
        )

    groups = [
        rates("female", 0.49, 0.262),
        rates("male", 0.5, 0.281),
        rates(HOSTILE if story.hostile else "not stated", 0.01, 0.24),
    ]
    return ColumnFairness("gender", groups, figure(0.88, 0.06), figure(-0.02, 0.03), figure(0.03, 0.03))


def _segments(story: Story, rows: int, labelled: int, auc: float) -> list[Segment]:
    named = [("contract", "month-to-month", -0.05), ("contract", "one year", 0.01), ("contract", "two years", 0.03)]
    named += [
        ("region", place, shift) for place, shift in (("north", 0.0), ("south", -0.02), ("west", 0.01), ("east", 0.015))
    ]
    if story.hostile:
        named.append(("region", HOSTILE, 0.0))
    return [Segment(c, v, rows // 4, labelled // 4, {"auc": figure(auc + shift, 0.022)}) for c, v, shift in named]


def _histograms(story: Story) -> list[Histogram]:
    made = []
    for column in story.columns[:12]:
        reference = [int(900 * math.exp(-((index - 4.5) ** 2) / 9)) + 20 for index in range(10)]
        shifted = column in story.drifting
        current = [int(reference[max(0, index - 2 * shifted)] * 0.9) for index in range(10)]
        made.append(Histogram(column, [f"{index * 12} to {index * 12 + 12}" for index in range(10)], reference, current))
    names = ["electronic check", "mailed check", "bank transfer", "credit card", HOSTILE if story.hostile else "other"]
    made.append(Histogram("payment_method", names, [2365, 1612, 1544, 1522, 0], [402, 1420, 1390, 1405, 760]))
    return [one for one in made if one.column != "payment_method" or len(one.names) == 5]


def evidence(story: Story) -> DeploymentEvidence | None:
    if not story.challengers:
        return None
    return DeploymentEvidence(
        namespace=story.namespace,
        deployment=story.name,
        uid=f"uid-{story.name}",
        evaluated_at=NOW,
        labels=41_200,
        label_coverage=0.91,
        challengers=[_challenger(story, index, *one) for index, one in enumerate(story.challengers)],
    )


def _challenger(story: Story, index: int, name: str, decision: Decision) -> ChallengerEvidence:
    truth = 0.0131 if decision in ("Better", "Recommended") else -0.02 if decision == "Worse" else 0.006
    units = [int(30 * 10 ** (step / 26)) for step in range(74)]
    looks = []
    for step, count in enumerate(units):
        half = 1.9 * math.sqrt(math.log(12 + math.log(count)) / count) * 0.25
        value = truth + 0.012 * math.sin(step / 5) / math.sqrt(1 + count / 90)
        looks.append(
            Look(
                units=count,
                at=NOW - timedelta(hours=(74 - step) * 9),
                improvement=value,
                low=value - half,
                high=value + half,
            )
        )
    last = looks[-1]
    return ChallengerEvidence(
        name=name,
        version=f"{story.name}-{index + 4}",
        digest=DIGEST,
        mode="Shadow" if index % 2 == 0 else "Canary",
        nth=index + 1,
        metric="LogLoss",
        minimum_improvement=0.005,
        alpha=0.0304,
        tuned_for_units=1000,
        horizon_seconds=7 * 86_400,
        units=last.units,
        coverage={"champion": 0.914, name: 0.912},
        improvement=last.improvement,
        low=last.low,
        high=last.high,
        decision=decision,
        decided_at_units=next(one.units for one in looks if one.low > 0.005) if decision == "Better" else None,
        guardrails=[
            GuardrailState(name="latency", type="P99", state="Kept", value=0.04, low=-0.02, high=0.11, bound=0.25),
            GuardrailState(
                name="fairness",
                type="SelectionRateRatio",
                state="NotEnoughData",
                bound=0.8,
                message="one group has 12 units",
            ),
        ],
        sample_ratio=None
        if index % 2 == 0
        else SampleRatio(
            expected={"champion": 18090.0, name: 2010.0},
            observed={"champion": 18122, name: 1978},
            e_value=0.31,
            mismatch=False,
        ),
        path=looks,
    )


def findings(one: Watched, found: DeploymentEvaluation | None) -> list[Finding]:
    """As the engine's, for what the stories tell."""
    if found is None or not found.diagnosis:
        return []
    since = MIDNIGHT - timedelta(days=28)
    drift = "total_charges and payment_method drifted: PSI 0.41 and 0.39, above 0.25 and beyond chance."
    told = [
        Finding(
            type="DriftDetected", status="True", reason="ColumnsDrifted", message=drift, severity="Critical", since=since
        )
    ]
    if one.name == "churn":
        fell = "AUC is 0.817 (0.806 to 0.828) over the newest labelled day, must be at least 0.83."
        told.append(
            Finding(type="PerformanceDegraded", status="True", reason="AucBelowMinimum", message=fell, severity="Critical")
        )
    return told


@dataclass
class StillWorld:
    """A World that does not move."""

    watched: Sequence[Watched]
    why_not_ready: str = ""

    def deployments(self) -> Sequence[Watched]:
        return self.watched

    def find(self, namespace: str, name: str) -> Watched | None:
        return next((one for one in self.watched if (one.namespace, one.name) == (namespace, name)), None)


@dataclass
class Rights:
    """Reviews by a list of (user or group, namespace)."""

    granted: set[tuple[str, str]] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        self.asked.append((verb, resource, namespace))
        return any((who, namespace) in self.granted for who in (user, *groups))

    async def who(self, token: str, asker: str = "") -> Identity | None:
        return None


def sources(stories: Sequence[Story], evaluated: bool = True) -> Sources:
    """Documents go through their JSON, as from a store."""
    by_name = {(story.namespace, story.name): story for story in stories}
    packed = {key: msgspec.json.encode(evaluation(story)) for key, story in by_name.items()} if evaluated else {}
    decode = msgspec.json.Decoder(DeploymentEvaluation).decode

    def known(namespace: str, name: str) -> DeploymentEvaluation | None:
        return decode(packed[namespace, name]) if (namespace, name) in packed else None

    def outlined(namespace: str, name: str) -> DeploymentEvaluation | None:
        found = known(namespace, name)
        return with_outlines(found) if found is not None else None

    def glance(one: Watched) -> Glance | None:
        found = known(one.namespace, one.name)
        return glance_of(one, found, findings(one, found)) if found is not None else None

    return Sources(
        evaluation=known,
        outlined=outlined,
        glance=glance,
        evidence=lambda namespace, name: evidence(by_name[namespace, name]) if evaluated else None,
        findings=findings,
        card=lambda namespace, name, digest: card() if evaluated else None,
    )


def fleet(count: int, columns: int = 30) -> list[Story]:
    """Every eighth drifts, every eleventh has no labels, every third a challenger."""
    stories = [Story()]
    nouns = ("churn", "fraud", "credit-limit", "next-offer", "demand", "arrival-time", "claims", "upsell", "risk", "routing")
    for index in range(1, count):
        made = Story(
            name=f"{nouns[index % len(nouns)]}-{index}",
            namespace=("retention", "payments", "logistics", "lending")[index % 4],
            seed=index,
            columns=COLUMNS[:columns],
            drifting=("total_charges",) if index % 8 == 0 else (),
            labelled=index % 11 != 0,
            challengers=(("gradient-boosting", "Undecided"),) if index % 3 == 0 else (),
        )
        stories.append(made)
    return stories


def kept(store: Store, document: DeploymentEvaluation) -> int:
    """Writes it as the evaluator does. Its bytes."""
    days = {f"{day.start:%Y-%m-%d}" for arm in document.arms for day in arm.days}
    place = document.namespace, document.deployment
    parts = Parts(store, *place, {}).put(document.arms, days, days, days)
    head = msgspec.structs.replace(with_outlines(document), format=DOCUMENT_FORMAT, parts=parts)
    store.replace(evaluation_path(*place), msgspec.json.encode(head))
    return sum(entry.size for entry in store.list(evaluation_path(*place).rpartition("/")[0]))
