"""The metrics of docs/architecture.md, cheap enough for the hot path.

prometheus-client's own children take a lock per increment and scan their buckets one by one: with bucket edges 10 %
apart that costs more than parsing a request. Here a child is two attributes and a bisection, written by the loop's thread
only. `labels()` is for setting up: keep the child that it returns.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeVar

from mypy_extensions import mypyc_attr

from podium_serving.exposition import Family as Exposed
from podium_serving.exposition import process_families, text

Exposition = Callable[[], Awaitable[bytes]]
"""Gives what /metrics says, in Prometheus' text format 0.0.4."""

MAX_CHILDREN = 256
"""Label sets of one family. Versions come and go in a long life; the oldest set is forgotten first."""


def _edges(first: float, last: float, ratio: float) -> tuple[float, ...]:
    """Bucket edges of three digits from `first` until `last` is covered, each at most `ratio` times the one before."""
    edges = [first]
    while edges[-1] < last:
        edges.append(float(f"{edges[-1] * ratio:.3g}"))
    return tuple(edges)


DURATION_EDGES = _edges(0.0002, 2.0, 1.095)
"""Seconds. At most 10 % apart, because a p99 is compared between versions."""
ROW_EDGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class Value:
    """A counter's or gauge's number."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount

    def set(self, value: float) -> None:
        self.value = value


class Distribution:
    """A histogram's counts per bucket, and their sum."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[str, float]]:
        seen = 0
        for edge, count in zip((*map(str, self.edges), "+Inf"), self.counts, strict=True):
            seen += count
            yield edge, float(seen)


Child = TypeVar("Child", Value, Distribution)
Kind = Literal["counter", "gauge", "histogram"]


class Family(Generic[Child]):
    """One metric: its children by label values, in the order of `label_names`."""

    def __init__(
        self, kind: Literal["counter", "gauge", "histogram"], name: str, text: str, label_names: Iterable[str]
    ) -> None:
        self.kind = kind
        self.name = name
        self.text = text
        self.label_names = tuple(label_names)
        self.children: dict[tuple[str, ...], Child] = {}

    def labels(self, *values: str) -> Child:
        """The child with these label values. Raises ValueError when their number is wrong."""
        child = self.children.get(values)
        if child is None:
            if len(values) != len(self.label_names):
                raise ValueError(f"{self.name} has the labels {', '.join(self.label_names)}; got {len(values)} values")
            if len(self.children) >= MAX_CHILDREN:
                del self.children[next(iter(self.children))]
            child = self.children[values] = self.new_child()
        return child

    def new_child(self) -> Child:
        raise NotImplementedError

    def forget(self, *values: str) -> None:
        self.children.pop(values, None)


class Values(Family[Value]):
    def new_child(self) -> Value:
        return Value()


class Distributions(Family[Distribution]):
    def __init__(self, name: str, text: str, label_names: Iterable[str], edges: tuple[float, ...]) -> None:
        super().__init__("histogram", name, text, label_names)
        self.edges = edges

    def new_child(self) -> Distribution:
        return Distribution(self.edges)


ARM = ("version", "role")


@mypyc_attr(native_class=False)  # it looks through its own attributes
class Metrics:
    """All metrics of one process. Who writes which is said here, so that nothing is counted twice."""

    def __init__(self, namespace: str, deployment: str, *, process: bool = True) -> None:
        # The HTTP lane, at the pod that answers the client:
        self.requests = Values("counter", "podium_requests", "Answered requests, by who answered.", (*ARM, "code"))
        self.request_seconds = Distributions(
            "podium_request_duration_seconds", "From the head of a request to its answer.", ARM, DURATION_EDGES
        )
        self.rows = Values("counter", "podium_rows", "Rows of answered requests.", ARM)
        # The HTTP lane, at the pod that infers (public and forward port):
        self.queue_seconds = Distributions("podium_queue_duration_seconds", "Waiting for the model.", ARM, DURATION_EDGES)
        self.inference_seconds = Distributions("podium_inference_duration_seconds", "In the model.", ARM, DURATION_EDGES)
        self.forwarded_requests = Values(
            "counter", "podium_forwarded_requests", "Requests answered on the forward port.", ("version", "code")
        )
        # The loaded model, once per run:
        self.batch_rows = Distributions("podium_batch_rows", "Rows of one run of the model.", ("version",), ROW_EDGES)
        # Traffic:
        self.forward_seconds = Distributions(
            "podium_forward_duration_seconds",
            "A forward, as the forwarding pod saw it.",
            ("challenger",),
            DURATION_EDGES,
        )
        self.fallbacks = Values("counter", "podium_fallbacks", "Answers in a challenger's place.", ("challenger", "reason"))
        self.shadow_requests = Values("counter", "podium_shadow_requests", "Mirrored requests.", ("challenger", "outcome"))
        self.capture_events = Values("counter", "podium_capture_events", "Captured predictions.", ("outcome",))
        # Swap:
        self.plan_epoch = Values("gauge", "podium_plan_epoch", "Epoch of the committed plan.", ())
        self.model_loaded = Values("gauge", "podium_model_loaded", "1 while the version is in memory.", ("version",))
        self.late_requests = Values("counter", "podium_late_requests", "Answered under a plan known to be superseded.", ())
        self.late_requests.labels()  # 0 is told, too: Prometheus sees no increase where a counter begins with its event
        # Observation:
        self.access_log_lines = Values("counter", "podium_access_log_lines", "Lines of the access log.", ("outcome",))
        self.traced_requests = Values("counter", "podium_traced_requests", "Requests that are traced.", ("outcome",))
        # The supervisor of several workers:
        self.workers = Values("gauge", "podium_workers", "Processes of this pod that take connections.", ())
        self.worker_restarts = Values("counter", "podium_worker_restarts", "Workers that took the place of others.", ())
        # The entrance:
        self.certificate_end = Values(
            "gauge", "podium_certificate_end_timestamp_seconds", "When the public port's certificate ends.", ()
        )
        self._constant = {"namespace": namespace, "deployment": deployment}
        self._process = process

    def exposition(self) -> bytes:
        """Prometheus' text format 0.0.4."""
        return text(self.families())

    async def answer(self) -> bytes:
        """What /metrics of a pod with one process says."""
        return self.exposition()

    def families(self) -> list[Exposed]:
        """All metrics as they are now, those of the process last."""
        own = [_family(family, self._constant) for family in vars(self).values() if isinstance(family, Family)]
        return own + (process_families() if self._process else [])


def _family(family: Family[Any], constant: Mapping[str, str]) -> Exposed:
    samples: list[tuple[str, dict[str, str], float]] = []
    for values, child in list(family.children.items()):
        labels = {**constant, **dict(zip(family.label_names, values, strict=True))}
        samples += _samples(family, labels, child)
    return Exposed(family.name, family.text, family.kind, samples)


def _samples(
    family: Family[Any], labels: dict[str, str], child: Value | Distribution
) -> Iterator[tuple[str, dict[str, str], float]]:
    if isinstance(child, Value):
        yield (f"{family.name}_total" if family.kind == "counter" else family.name), labels, child.value
        return
    count = 0.0
    for edge, count in child.cumulative():
        yield f"{family.name}_bucket", {**labels, "le": edge}, count
    yield f"{family.name}_count", labels, count
    yield f"{family.name}_sum", labels, child.total


class Tally:
    """What an answer of one version in one role counts into. Children are made when the first such answer is counted."""

    def __init__(self, metrics: Metrics, version: str, role: str) -> None:
        self._metrics = metrics
        self._arm = (version, role)
        self._requests: Value | None = None
        self._rows: Value | None = None
        self._forwarded: Value | None = None
        self._request_seconds: Distribution | None = None
        self._queue_seconds: Distribution | None = None
        self._inference_seconds: Distribution | None = None

    def answered(self, rows: int) -> None:
        """At the pod that answers the client."""
        if self._requests is None or self._rows is None:
            self._requests = self._metrics.requests.labels(*self._arm, "200")
            self._rows = self._metrics.rows.labels(*self._arm)
        self._requests.value += 1
        self._rows.value += rows

    def forwarded(self) -> None:
        """At the pod that another one asked."""
        if self._forwarded is None:
            self._forwarded = self._metrics.forwarded_requests.labels(self._arm[0], "200")
        self._forwarded.value += 1

    def took(self, seconds: float) -> None:
        """From the request's head to its answer."""
        if self._request_seconds is None:
            self._request_seconds = self._metrics.request_seconds.labels(*self._arm)
        self._request_seconds.observe(seconds)

    def inferred(self, queue_seconds: float, inference_seconds: float) -> None:
        """At the pod that has the model."""
        if self._queue_seconds is None or self._inference_seconds is None:
            self._queue_seconds = self._metrics.queue_seconds.labels(*self._arm)
            self._inference_seconds = self._metrics.inference_seconds.labels(*self._arm)
        self._queue_seconds.observe(queue_seconds)
        self._inference_seconds.observe(inference_seconds)
