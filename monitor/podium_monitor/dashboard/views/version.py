"""One version: the card that its makers wrote, what the checks measured, and where it is used."""

from collections.abc import Sequence
from dataclasses import dataclass

from podium_crds.package import Descriptor, InputSpec
from podium_monitor.world import Watched, WatchedVersion
from podium_pages import words
from podium_pages.charts.frame import Table
from podium_pages.parts import Badge, Fact


@dataclass(frozen=True)
class Use:
    deployment: str
    role: str


@dataclass(frozen=True)
class VersionPage:
    namespace: str
    name: str
    badge: Badge
    reason: str
    facts: Sequence[Fact]
    documentation: str
    training: Sequence[Fact]
    inputs: Table | None
    outputs: Table | None
    checks: Sequence[Fact]
    conditions: Table | None
    uses: Sequence[Use]


def version_page(namespace: str, version: WatchedVersion, users: Sequence[Watched], card: Descriptor | None) -> VersionPage:
    """`card` is None until a pod has handed the package's reference to the monitor."""
    conditions = version.status.conditions if version.status else []
    ready = next((one for one in conditions if one.type == "Ready"), None)
    badge = Badge("Unknown", "Not checked")
    if ready is not None:
        badge = Badge("Good" if ready.status == "True" else "Critical", ready.reason)
    return VersionPage(
        namespace=namespace,
        name=version.name,
        badge=badge,
        reason=ready.message if ready else "The operator has not reported on it yet.",
        facts=[
            Fact("Artifact", version.spec.artifact.uri),
            Fact("Digest", version.spec.artifact.digest),
            Fact("Image", version.status.image if version.status and version.status.image else version.spec.image.type),
        ],
        documentation=card.documentation if card else "",
        training=_training(card) if card else [],
        inputs=_inputs(card.inputs) if card else None,
        outputs=_outputs(card) if card else None,
        checks=_checks(version),
        conditions=_conditions(version),
        uses=[Use(one.name, role) for one in users for role in _roles(one, version.name)],
    )


def _roles(watched: Watched, version: str) -> list[str]:
    roles = ["champion"] if watched.spec.champion.model_version_ref.name == version else []
    return roles + [
        f"challenger {one.name} ({one.mode.lower()})"
        for one in watched.spec.challengers
        if one.model_version_ref.name == version
    ]


def _training(card: Descriptor) -> list[Fact]:
    made = f"{card.training.framework} {card.training.framework_version}".strip()
    metrics = [Fact(words.named(name), words.number(value)) for name, value in sorted(card.training.metrics.items())]
    return [
        Fact("Package", f"{card.name} {card.version}"),
        Fact("Task", card.task),
        Fact("Made with", made or words.NOTHING),
        Fact("Training rows", words.count(card.training.rows)),
        *([Fact("Parameters", words.count(card.training.parameters))] if card.training.parameters is not None else []),
        *metrics,
        Fact("Requirements of its own", ", ".join(card.requirements) or "none"),
        Fact("Transform hooks", "yes" if card.transform else "no"),
    ]


def _inputs(inputs: Sequence[InputSpec]) -> Table:
    return Table(
        ["Input", "Datatype", "Shape", "Missing", "Seen in training"],
        [
            [
                one.name,
                one.datatype,
                "×".join(str(size) for size in one.shape),
                "may be" if one.nullable else "no",
                _seen(one),
            ]
            for one in inputs
        ],
    )


def _seen(one: InputSpec) -> str:
    if one.categories is not None:
        shown = ", ".join(one.categories[:6])
        return shown + (f" and {len(one.categories) - 6} more" if len(one.categories) > 6 else "")
    if one.minimum is None and one.maximum is None:
        return words.NOTHING
    return f"{words.number(one.minimum)} to {words.number(one.maximum)}"


def _outputs(card: Descriptor) -> Table:
    return Table(
        ["Output", "Datatype", "Kind", "Classes"],
        [[one.name, one.datatype, one.kind, ", ".join(one.classes or []) or words.NOTHING] for one in card.outputs],
    )


def _checks(version: WatchedVersion) -> list[Fact]:
    facts = version.status.verification if version.status else None
    if facts is None:
        return []
    return [
        Fact("Golden rows reproduced", words.count(facts.golden_rows)),
        Fact("Labels flipped within tolerance", words.count(facts.flipped_labels)),
        Fact("Worst absolute error", facts.worst_absolute_error),
        Fact("99th percentile", f"{facts.p99_milliseconds} ms"),
        Fact("Peak memory", f"{words.number(facts.peak_memory_bytes / 2**20)} MiB"),
    ]


def _conditions(version: WatchedVersion) -> Table | None:
    if version.status is None or not version.status.conditions:
        return None
    return Table(
        ["Condition", "Status", "Reason", "Message"],
        [[one.type, one.status, one.reason, one.message] for one in version.status.conditions],
    )
