"""Observed traffic: from counters as scraped from pods to shares, rates and latencies per version. Pure; time comes in.

A counter that went down was reset with its process: what it shows now is the growth. A share is shown in whole percents, and
shown anew only when it moved by two points or other versions answer, so that standing traffic writes nothing.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from podium_crds.v1alpha1.model_deployment import TrafficShare

WINDOW_SECONDS = 60.0
MOVED_POINTS = 2
"""A share that moves by less is the noise of the split."""

_REQUESTS = "podium_requests_total"
_BUCKETS = "podium_request_duration_seconds_bucket"
_INFERENCES = "podium_inference_duration_seconds"
_SHADOW = "shadow"


@dataclass(frozen=True)
class Arm:
    """Who answered."""

    version: str
    role: str
    """champion, challenger or shadow."""


Series = tuple[Arm, str]
"""An arm with a status code, or with the upper edge of a latency bucket."""


@dataclass(frozen=True)
class Page:
    """What one pod's /metrics said, as counters that only grow."""

    requests: Mapping[Series, float] = field(default_factory=dict)
    buckets: Mapping[Series, float] = field(default_factory=dict)


def read_page(text: str) -> Page:
    """Raises ValueError for text that is no Prometheus exposition. Only what is needed is parsed: a page may be long."""
    wanted = "\n".join(line for line in text.splitlines() if line.startswith((_REQUESTS, _BUCKETS, _INFERENCES)))
    requests: dict[Series, float] = {}
    buckets: dict[Series, float] = {}
    for family in text_string_to_metric_families(wanted + "\n"):
        for sample in family.samples:
            arm = Arm(sample.labels.get("version", ""), sample.labels.get("role", ""))
            kind = _kind(sample.name, arm)
            if kind == "requests":
                series = (arm, sample.labels.get("code", ""))
                requests[series] = requests.get(series, 0.0) + sample.value
            elif kind == "buckets":
                series = (arm, sample.labels.get("le", ""))
                buckets[series] = buckets.get(series, 0.0) + sample.value
    return Page(requests, buckets)


def _kind(name: str, arm: Arm) -> str:
    """A shadow answers no client: what it inferred is its requests, and how long that took its latency."""
    if arm.role == _SHADOW:
        return {f"{_INFERENCES}_count": "requests", f"{_INFERENCES}_bucket": "buckets"}.get(name, "")
    return {_REQUESTS: "requests", _BUCKETS: "buckets"}.get(name, "")


def growth(before: Mapping[Series, float], after: Mapping[Series, float]) -> dict[Series, float]:
    """How much each counter grew. One that is lower than before started anew at zero."""
    return {
        series: value - before.get(series, 0.0) if value >= before.get(series, 0.0) else value
        for series, value in after.items()
    }


@dataclass(frozen=True)
class ArmFigures:
    """One arm over a window."""

    requests: int
    errors: int
    """Answers with a 5xx status."""
    per_second: float
    p50_seconds: float | None
    p99_seconds: float | None


@dataclass
class _Growth:
    at: float
    seconds: float
    requests: dict[Series, float]
    buckets: dict[Series, float]


@dataclass
class Observation:
    """A deployment's traffic over the last minute: a sliding window of growths, one per round of scraping."""

    pages: dict[str, Page] = field(default_factory=dict)
    """By pod uid, as last read."""
    read_at: dict[str, float] = field(default_factory=dict)
    window: deque[_Growth] = field(default_factory=deque)

    def take(self, pages: Mapping[str, Page], pods: Iterable[str], now: float) -> None:
        """One round: the pages that could be read. A pod seen for the first time only sets the start, unless others were
        read before: then it is new, and all that it shows is growth."""
        first_round = not self.read_at
        requests: Counter[Series] = Counter()
        buckets: Counter[Series] = Counter()
        for uid, page in pages.items():
            if uid in self.pages or not first_round:
                before = self.pages.get(uid, Page())
                requests.update(growth(before.requests, page.requests))
                buckets.update(growth(before.buckets, page.buckets))
        seconds = now - max(self.read_at.values(), default=now)
        self.pages.update(pages)
        self.read_at.update(dict.fromkeys(pages, now))
        self._forget_but(set(pods))
        self.window.append(_Growth(now, seconds, dict(requests), dict(buckets)))
        while self.window and self.window[0].at <= now - WINDOW_SECONDS:
            self.window.popleft()

    def figures(self) -> dict[Arm, ArmFigures]:
        requests: Counter[Series] = Counter()
        buckets: Counter[Series] = Counter()
        for piece in self.window:
            requests.update(piece.requests)
            buckets.update(piece.buckets)
        seconds = sum(piece.seconds for piece in self.window)
        arms = {arm for (arm, _), count in requests.items() if count > 0}
        return {arm: _arm_figures(arm, requests, buckets, seconds) for arm in arms}

    def _forget_but(self, pods: set[str]) -> None:
        self.pages = {uid: page for uid, page in self.pages.items() if uid in pods}
        self.read_at = {uid: at for uid, at in self.read_at.items() if uid in pods}


def _arm_figures(arm: Arm, requests: Mapping[Series, float], buckets: Mapping[Series, float], seconds: float) -> ArmFigures:
    codes = {code: count for (of, code), count in requests.items() if of == arm}
    edges = {float(edge): count for (of, edge), count in buckets.items() if of == arm}
    total = sum(codes.values())
    return ArmFigures(
        requests=round(total),
        errors=round(sum(count for code, count in codes.items() if code.startswith("5"))),
        per_second=total / seconds if seconds else 0.0,
        p50_seconds=quantile(edges, 0.5),
        p99_seconds=quantile(edges, 0.99),
    )


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """The q-quantile in seconds from cumulative counts by upper edge, linear inside its bucket; None without observations.

    In the last, unbounded bucket it is that bucket's lower edge, as in Prometheus' histogram_quantile.
    """
    edges = sorted(buckets)
    total = buckets[edges[-1]] if edges else 0.0
    if total <= 0:
        return None
    rank, below, lower = q * total, 0.0, 0.0
    for edge in edges:
        if buckets[edge] >= rank:
            inside = buckets[edge] - below
            return lower if edge == float("inf") or inside <= 0 else lower + (edge - lower) * (rank - below) / inside
        below, lower = buckets[edge], edge
    return lower


def shares(figures: Mapping[Arm, ArmFigures]) -> list[TrafficShare]:
    """Whole percents of the clients' requests that add up to 100, by largest remainder; the champion first."""
    counted = {arm: found.requests for arm, found in figures.items() if arm.role != _SHADOW and found.requests}
    total = sum(counted.values())
    exact = {arm: 100 * count / total for arm, count in counted.items()} if total else {}
    whole = {arm: int(value) for arm, value in exact.items()}
    rest = sorted(exact, key=lambda arm: (whole[arm] - exact[arm], arm.version, arm.role))
    for arm in rest[: 100 - sum(whole.values()) if exact else 0]:
        whole[arm] += 1
    order = sorted(whole, key=lambda arm: (arm.role != "champion", -whole[arm], arm.version))
    return [TrafficShare(version=arm.version, role=arm.role, percent=whole[arm]) for arm in order][:20]


def shown(before: list[TrafficShare], observed: list[TrafficShare], serving: Collection[str]) -> list[TrafficShare]:
    """What status shall say: `before`, unless it is wrong by two points or more.

    Silence leaves what was, as long as all its versions are among those that serve now.
    """
    if not observed:
        return before if all(share.version in serving for share in before) else []
    old = {(share.version, share.role): share.percent for share in before}
    new = {(share.version, share.role): share.percent for share in observed}
    moved = old.keys() != new.keys() or any(abs(new[arm] - old[arm]) >= MOVED_POINTS for arm in new)
    return observed if moved else before


def summary(traffic: list[TrafficShare]) -> str:
    """`churn-3 90%, churn-5 10%`."""
    return ", ".join(f"{share.version} {share.percent}%" for share in traffic)[:512]
