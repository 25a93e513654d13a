"""What status says: conditions that kstatus reads right, and the strings that `kubectl get` shows. Pure.

Ready means that the whole spec is as asked: a refused champion is Ready=False and Stalled while the committed one goes on
serving, and the condition ChampionServing says that it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium_crds.names import GRPC_PORT
from podium_crds.v1alpha1.model_deployment import (
    ChallengerStatus,
    ChampionStatus,
    Endpoint,
    LastSwap,
    ModelDeploymentStatus,
    TrafficShare,
)
from podium_operator.conditions import READY, Wanted, current, failed, in_progress, merged
from podium_operator.deployments import evidence, steps
from podium_operator.deployments.evidence import Monitored
from podium_operator.deployments.observed import Observed, PodListed, PoolLive
from podium_operator.deployments.steps import Step
from podium_operator.deployments.traffic import summary
from podium_operator.deployments.wish import ChallengerWish, Wish

CHAMPION_SERVING = "ChampionServing"
CHALLENGERS_SERVING = "ChallengersServing"


@dataclass(frozen=True)
class Outcome:
    """What a round came to."""

    step: Step
    problems: tuple[str, ...] = ()
    """Children that the API server refused, in its words."""
    conflict: str = ""
    """An object of somebody else stands where a child should be."""
    rolls: bool = False
    """A pool got another template or count just now: its pods follow."""
    traffic: tuple[TrafficShare, ...] = field(default_factory=tuple)
    last_swap: LastSwap | None = None
    monitored: Monitored | None = None
    """None: nothing is captured, or there is no monitor."""


def status_for(seen: Observed, wish: Wish, outcome: Outcome, now: datetime) -> ModelDeploymentStatus:
    wanted = [*conditions(seen, wish, outcome), *evidence.conditions(outcome.monitored, seen.status.conditions)]
    challengers = evidence.with_evidence(
        challenger_statuses(seen, wish.challengers), outcome.monitored, seen.status.challengers
    )
    ready = next(item for item in wanted if item.type == READY)
    traffic = list(outcome.traffic)
    return ModelDeploymentStatus(
        observed_generation=seen.generation,
        conditions=merged(seen.status.conditions, wanted, seen.generation, now),
        champion=_champion(seen),
        challengers=challengers,
        endpoint=endpoint(seen.owner.name, seen.owner.namespace, tls=seen.spec.serving.tls is not None),
        epoch=seen.committed.epoch if seen.committed else None,
        traffic=traffic,
        last_swap=outcome.last_swap,
        challenger_summary=challenger_summary(challengers),
        traffic_summary=summary(traffic),
        reason=ready.reason,
    )


def announcement(seen: Observed, now: datetime) -> ModelDeploymentStatus:
    """A new generation was seen and nothing is judged yet."""
    wanted = in_progress("Reconciling", f"generation {seen.generation} of the manifest is being looked at")
    kept = [*_serving_conditions(seen, None), *evidence.standing_conditions(seen.status.conditions)]
    return seen.status.model_copy(
        update={
            "observed_generation": seen.generation,
            "conditions": merged(seen.status.conditions, [*wanted, *kept], seen.generation, now),
            "reason": "Reconciling",
        }
    )


def conditions(seen: Observed, wish: Wish, outcome: Outcome) -> list[Wanted]:
    verdict = _trouble(seen, wish, outcome) or _progress(seen, wish, outcome)
    return [*(verdict or current("Serving", _answers(seen))), *_serving_conditions(seen, wish)]


def _trouble(seen: Observed, wish: Wish, outcome: Outcome) -> list[Wanted] | None:
    """What a person has to look at, the worst first."""
    if outcome.conflict:
        return failed("NameTaken", outcome.conflict + _still(seen))
    if wish.refusal is not None:
        message = wish.refusal.message + _still(seen)
        terminal = wish.refusal.terminal
        return failed(wish.refusal.reason, message) if terminal else in_progress(wish.refusal.reason, message, ready="False")
    if seen.missing_secrets:
        return in_progress("SecretNotFound", _missing_message(seen) + _still(seen), ready="False")
    if outcome.problems:
        return failed("ChildRefused", "; ".join(outcome.problems)[:4000] + _still(seen))
    for pool in _champion_pools(seen, wish):
        if pool is not None and pool.stalled and not pool.current:
            return failed("PodsNotReady", f"{_pods_message(seen, pool)}: {pool.stalled}" + _still(seen))
    return None


def _missing_message(seen: Observed) -> str:
    found = seen.missing_secrets[0]
    return (
        f"Secret '{found.name}', named by {found.field}, is not there: make it in namespace '{seen.owner.namespace}', "
        f"{found.holds}; pods wait for it"
    )


def _progress(seen: Observed, wish: Wish, outcome: Outcome) -> list[Wanted] | None:
    if (found := _swap_progress(seen, outcome.step)) is not None:
        return in_progress(*found, ready="False")
    committed = seen.committed
    pool = seen.pools.get(committed.champion.pool) if committed else None
    if committed is None or pool is None or not pool.current:
        message = _pods_message(seen, pool) if pool else "the champion's pool is being made"
        return in_progress("PodsStarting", message, ready="False")
    if outcome.rolls:
        return in_progress("PodsStarting", "the pods follow what the manifest says of them now", ready="False")
    if not _public_pods(seen):
        return in_progress(
            "SwitchingService", f"Service '{seen.owner.name}' is about to lead to pool {pool.id}", ready="False"
        )
    refused = [item for item in wish.challengers if item.state == "Refused"]
    if refused:
        return failed("ChallengerRefused", f"challenger '{refused[0].name}' is left out: {refused[0].message}")
    waiting = [item for item in challenger_statuses(seen, wish.challengers) if item.state != "Serving"]
    if waiting:
        return in_progress("ChallengersStarting", f"challenger '{waiting[0].name}': {waiting[0].message}", ready="False")
    return None


def _swap_progress(seen: Observed, step: Step) -> tuple[str, str] | None:
    match step:
        case steps.Settled():
            return None
        case steps.Wait(reason, message):
            return reason, message
        case steps.Begin(plan) | steps.Prepare(plan, _) | steps.WriteCommit(plan):
            return "Swapping", f"epoch {plan.epoch} with version '{plan.champion.version.name}' is on its way to the pods"
        case steps.SendCommit(_, pods):
            return "PodsStarting", f"{len(pods)} pods get the committed plan"
        case _:
            return "Swapping", "the plan of the pods is being put in order"


def _champion_pools(seen: Observed, wish: Wish) -> list[PoolLive | None]:
    plans = [plan for plan in (wish.plan, seen.committed) if plan is not None]
    return [seen.pools.get(plan.champion.pool) for plan in plans]


def _pods_message(seen: Observed, pool: PoolLive) -> str:
    """`1 of 3 pods are ready (churn-champion-abc-1: CrashLoopBackOff: …)`."""
    waiting = [
        f"{pod.name}: {why}"
        for pod in seen.champion_pods
        if pod.pool == pool.id and not pod.ready and (why := _why(seen, pod))
    ]
    return f"{pool.ready_replicas} of {pool.replicas} pods are ready" + (f" ({waiting[0]})" if waiting else "")


def _why(seen: Observed, pod: PodListed) -> str:
    status = seen.status_of(pod)
    if status is not None and status.failure is not None:
        return f"{status.failure.reason}: {status.failure.message}"
    return pod.waiting


def _still(seen: Observed) -> str:
    return f"; '{seen.committed.champion.version.name}' keeps serving" if seen.committed and _answering(seen) else ""


def _answers(seen: Observed) -> str:
    assert seen.committed is not None
    return f"version '{seen.committed.champion.version.name}' answers on {_counted(len(_answering(seen)))}"


def _counted(pods: int) -> str:
    return "1 pod" if pods == 1 else f"{pods} pods"


def _answering(seen: Observed) -> list[PodListed]:
    """Pods in service that answer with the committed champion."""
    committed = seen.committed
    if committed is None:
        return []
    return [
        pod
        for pod in seen.champion_pods
        if pod.pool == committed.champion.pool
        and seen.in_service(pod)
        and _answers_with(seen, pod, committed.champion.version.digest)
    ]


def _answers_with(seen: Observed, pod: PodListed, version_digest: str) -> bool:
    status = seen.status_of(pod)
    if status is None:
        return pod.uid in seen.confirmed
    return status.committed is not None and status.committed.version_digest == version_digest


def _public_pods(seen: Observed) -> list[PodListed]:
    return [pod for pod in _answering(seen) if pod.uid in seen.public_endpoints]


def _serving_conditions(seen: Observed, wish: Wish | None) -> list[Wanted]:
    found = []
    if _answering(seen):
        found.append(Wanted(CHAMPION_SERVING, "True", "Serving", _answers(seen)))
    else:
        found.append(Wanted(CHAMPION_SERVING, "False", "NoPodReady", "no pod answers with a committed version"))
    if wish is not None and wish.challengers:
        others = [item for item in challenger_statuses(seen, wish.challengers) if item.state != "Serving"]
        message = "; ".join(f"'{item.name}' {item.state}: {item.message}" for item in others)
        found.append(
            Wanted(CHALLENGERS_SERVING, "False", f"Challengers{others[0].state}", message)
            if others
            else Wanted(CHALLENGERS_SERVING, "True", "Serving", "all challengers get their share")
        )
    return found


def challenger_statuses(seen: Observed, challengers: Sequence[ChallengerWish]) -> list[ChallengerStatus]:
    """As committed: a challenger that could join serves only once the plan says so."""
    routes = {route.name: route for route in seen.committed.routes} if seen.committed else {}
    found = []
    for item in challengers:
        route = routes.get(item.name)
        joined = item.state == "Serving" and route is not None and item.planned == route.version
        state = "Serving" if joined else ("Starting" if item.state == "Serving" else item.state)
        found.append(
            ChallengerStatus(
                name=item.name,
                model_version=item.version,
                digest=item.planned.digest if item.planned else "",
                mode=route.mode if route and joined else item.mode,
                percent=route.percent if route else 0,
                state=state,
                message="" if joined else _challenger_message(seen, item)[:1024],
            )
        )
    return found


def _challenger_message(seen: Observed, item: ChallengerWish) -> str:
    pods = [pod for pod in seen.pods if item.pool and pod.pool == item.pool.id and not pod.ready]
    reasons = [f"{pod.name}: {why}" for pod in pods if (why := _why(seen, pod))]
    return (item.message or "joins with the next plan") + (f" ({reasons[0]})" if reasons else "")


def challenger_summary(challengers: Sequence[ChallengerStatus]) -> str:
    """`gradient-boosting Shadow (Better), neural-net 10%`; one that does not serve says why in a word."""

    def told(item: ChallengerStatus) -> str:
        if item.state != "Serving":
            return f"{item.name} {item.state}"
        share = "Shadow" if item.mode == "Shadow" else f"{item.percent}%"
        return f"{item.name} {share}" + (f" ({item.decision})" if evidence.is_decided(item.decision) else "")

    return ", ".join(told(item) for item in challengers)[:512]


def endpoint(name: str, namespace: str, *, tls: bool) -> Endpoint:
    """At the public Service's ports: 443 with TLS, else 80."""
    host = f"{name}.{namespace}.svc"
    base = f"https://{host}" if tls else f"http://{host}"
    return Endpoint(url=f"{base}/v2/models/{name}/infer", grpc=f"{host}:{GRPC_PORT}", docs=f"{base}/docs")


def _champion(seen: Observed) -> ChampionStatus | None:
    if seen.committed is None:
        return None
    version = seen.committed.champion.version
    since = seen.record.notes.since
    return ChampionStatus(model_version=version.name, digest=version.digest, since=since, replicas=len(_answering(seen)))
