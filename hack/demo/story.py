"""The demo's seven steps, in order. Each shows what came back, and stops the demo when a promise is broken."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo import endpoint, install, models, prometheus
from demo.figures import arm_rows, scraped_rows
from demo.kubectl import Kubectl
from demo.load import BackgroundLoad, Load, Outcome, Question, between, figures, inconsistent_keys
from demo.manifests import HEADER, NAMESPACE, NODE_PORT, challenger, model_deployment, namespace, node_port
from demo.prometheus_pod import PLACE
from demo.screen import Screen
from demo.watch import MONITOR_PORT, watch
from demo.where import DemoError, Where, chosen

CANARY_PERCENT = 10
RATE = 80.0
"""Requests per second of the demo's load: two cores also carry the cluster."""


@dataclass
class Story:
    screen: Screen
    folder: Path
    where: Where = field(init=False)
    kubectl: Kubectl = field(init=False)
    pushed: dict[str, models.Pushed] = field(init=False)
    questions: list[Question] = field(init=False)
    url: str = ""

    def tell(self) -> None:
        with self.screen.step(1, "A Kubernetes cluster"):
            self.where = chosen(bring_up=True)
            self.kubectl = Kubectl(self.where, NAMESPACE)
            self.screen.text(self.kubectl("get", "nodes"))
        with self.screen.step(2, "Podium's images and its Helm chart"):
            images = install.build_images(self.where)
            install.install(self.where, images)
            self.screen.text(Kubectl(self.where, install.SYSTEM)("get", "pods"))
        with self.screen.step(3, "A churn model, from training to an endpoint"):
            self._first_model()
        with self._reachable():
            with self.screen.step(4, "A challenger with a requirement of its own: in the shadow, then as a canary"):
                self._challenge()
            with self.screen.step(5, "Under load: hot swap, two broken versions, and back"):
                self._swap()
            with self.screen.step(6, "Watched: a mistake upstream, an alert, late labels, a challenger that does better"):
                self._watch()
            with self.screen.step(7, "Summary"):
                self._summary()

    # --- 3 ------------------------------------------------------------------------------------------------------

    def _first_model(self) -> None:
        # A ModelVersion never changes: what an earlier demo left may be of other code.
        self.where.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s")
        prometheus.remove(self.where)
        self.screen.text(models.train(self.where, self.folder))
        self.pushed = models.push(self.where, self.folder)
        self.questions = models.production_questions(self.folder)
        for name, pushed in self.pushed.items():
            self.screen.say(f"pushed {name} as {pushed.digest[:19]}…")
        self.kubectl.apply(namespace())
        prometheus.install(self.where)
        self.kubectl.apply(self.pushed["churn-1"].manifest(), node_port())
        self.kubectl.wait_ready("mv", "churn-1")
        self.screen.good("churn-1 is verified in the cluster: its golden rows are reproduced under the serving limits")
        self.kubectl.apply(model_deployment("churn-1"))
        self.kubectl.wait_serving("churn", "churn-1")
        self.screen.text(self.kubectl("get", "mdep,mv"))

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        port = NODE_PORT if self.where.local else 18080
        self.url = f"http://127.0.0.1:{port}"
        if self.where.local:
            self._try_example()
            yield
            return
        with self.kubectl.port_forward("churn-from-outside", port, 80):
            self._try_example()
            yield

    def _try_example(self) -> None:
        """The example on the OpenAPI page, pasted."""
        self.kubectl.wait("the endpoint answers", self._is_up, 60)
        page = endpoint.get(f"{self.url}/openapi.json").json()
        operation = page["paths"]["/v2/models/churn/infer"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["example"]
        answer = endpoint.post(f"{self.url}/v2/models/churn/infer", example)
        if answer.status != 200:
            raise DemoError(f"the example on {self.url}/docs, pasted, was answered with {answer.status}: {answer.text}")
        columns = [tensor["name"] for tensor in example["inputs"]]
        self.screen.good(f"{self.url}/docs shows {len(columns)} columns ({', '.join(columns[:4])}, …); its example answers:")
        self.screen.say(f"{answer.text[:160]}")

    def _is_up(self) -> bool:
        return endpoint.get(f"{self.url}/v2/health/ready", timeout=2).status == 200

    def _load(self, rate: float = RATE) -> Load:
        return Load(f"{self.url}/v2/models/churn/infer", self.questions, rate=rate, key_header=HEADER)

    # --- 4 ------------------------------------------------------------------------------------------------------

    def _challenge(self) -> None:
        self.kubectl.apply(self.pushed[models.CHALLENGER].manifest())
        self.screen.say(
            f"{models.CHALLENGER} imports a package that the generic image lacks: its scoring image is being built"
        )
        self.kubectl.wait_ready("mv", models.CHALLENGER, 600)
        self.kubectl.apply(model_deployment("churn-1", challenger(models.CHALLENGER, "Shadow")))
        self._wait_challenger("Shadow")
        with BackgroundLoad(self._load()) as outcomes:
            time.sleep(10)
        shadow = figures(outcomes)
        self._require(shadow.failed == 0, f"{shadow.failed} requests failed with a shadow: {shadow.first_errors}")
        self._require(set(shadow.arms) == {"champion"}, f"a shadow answered clients: {shadow.arms}")
        self.screen.good(f"shadow: {shadow.sent} requests answered by the champion; the challenger gets copies")
        self.kubectl.apply(model_deployment("churn-1", challenger(models.CHALLENGER, "Canary", CANARY_PERCENT)))
        self._wait_challenger("Canary")
        with BackgroundLoad(self._load()) as outcomes:
            time.sleep(20)
        self._judge_canary(outcomes)

    def _wait_challenger(self, mode: str) -> None:
        def serving() -> bool:
            found = self.kubectl.get("mdep", "churn") or {}
            return any(
                item["mode"] == mode and item["state"] == "Serving"
                for item in found.get("status", {}).get("challengers", [])
            )

        self.kubectl.wait(f"the challenger serves as {mode}", serving, 240)

    def _judge_canary(self, outcomes: list[Outcome]) -> None:
        seen = figures(outcomes)
        self._require(seen.failed == 0, f"{seen.failed} requests failed with a canary: {seen.first_errors}")
        moved = inconsistent_keys(outcomes)
        self._require(not moved, f"customers met more than one arm: {moved[:5]}")
        self.screen.table("What the clients saw", ("arm", "requests", "share", "p50 ms", "p99 ms"), arm_rows(outcomes))
        customers = len({outcome.key for outcome in outcomes})
        self.screen.good(f"{customers} customers, each answered by one arm only")
        rows = self.kubectl.wait(
            "the operator has scraped both versions", lambda: scraped_rows(self.where, models.CHALLENGER), 60
        )
        columns = ("version", "role", "requests/s", "errors", "p50 ms", "p99 ms")
        self.screen.table("What the operator scraped from the pods", columns, rows)
        self.screen.note(canary_arms=seen.arms, canary_sent=seen.sent, canary_failed=seen.failed, customers=customers)

    # --- 5 ------------------------------------------------------------------------------------------------------

    def _swap(self) -> None:
        self.kubectl.apply(self.pushed["churn-2"].manifest(), model_deployment("churn-1"))
        self.kubectl.wait_ready("mv", "churn-2")
        self.kubectl.wait("the challenger has left", self._is_unchallenged)
        with BackgroundLoad(self._load()) as outcomes:
            time.sleep(4)
            applied = time.time()
            self.kubectl.apply(model_deployment("churn-2"))
            status = self.kubectl.wait_serving("churn", "churn-2")["status"]
            swapped = time.time()
            time.sleep(3)
            self._refuse_broken()
            self.kubectl.apply(model_deployment("churn-1"))
            self.kubectl.wait_serving("churn", "churn-1")
            time.sleep(3)
        seen = figures(outcomes)
        self._require(seen.failed == 0, f"{seen.failed} of {seen.sent} requests failed: {seen.first_errors}")
        self._require(set(seen.versions) == {"churn-1", "churn-2"}, f"uncommitted versions answered: {seen.versions}")
        flip = status["lastSwap"]
        before, during = between(outcomes, applied - 4, applied), between(outcomes, applied, swapped + 1)
        self.screen.good(
            f"swapped churn-1 → churn-2 on {flip['pods']} replicas: {seen.sent} requests, {seen.failed} failed, "
            f"flip {flip['flipMilliseconds']} ms wide (by admission, over all replicas)"
        )
        self.screen.say(
            f"p99 {figures(before).p99_milliseconds:.1f} ms before, {figures(during).p99_milliseconds:.1f} ms during; "
            f"{swapped - applied:.1f} s from kubectl apply to Ready; taken back by re-applying the old manifest"
        )
        self.screen.note(
            swap_sent=seen.sent,
            swap_failed=seen.failed,
            swap_versions=seen.versions,
            flip_milliseconds=flip["flipMilliseconds"],
            flip_pods=flip["pods"],
            apply_to_ready_seconds=round(swapped - applied, 2),
            p99_before_milliseconds=round(figures(before).p99_milliseconds, 1),
            p99_during_milliseconds=round(figures(during).p99_milliseconds, 1),
        )

    def _is_unchallenged(self) -> bool:
        status = (self.kubectl.get("mdep", "churn") or {}).get("status", {})
        return not status.get("challengers") and not any(
            pod["metadata"]["labels"].get("podium.dev/role") == "challenger"
            for pod in self.kubectl.list("pods", "podium.dev/deployment=churn")
        )

    def _refuse_broken(self) -> None:
        wrong = self.pushed["churn-2"].manifest(name="churn-wrong-digest", digest="sha256:" + "0" * 64)
        self.kubectl.apply(wrong, self.pushed["churn-broken"].manifest())
        for name in ("churn-wrong-digest", "churn-broken"):
            self.kubectl.apply(model_deployment(name))
            reason, message = self.kubectl.wait_refused("churn")
            self.screen.good(f"{name} is refused: [bold]{reason}[/]")
            self.screen.say(message[:300])
            self.screen.text(self.kubectl("get", "mdep"))
            self.screen.note(**{f"refused_{name}": reason})
        self.kubectl.apply(model_deployment("churn-2"))
        self.kubectl.wait_serving("churn", "churn-2")

    # --- 6 ------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        found = watch(self.screen, self.where, self.kubectl, self.url, self.questions, self.folder)
        self.screen.note(
            watched_asked=found.asked,
            watched_labelled=found.labelled,
            watched_drift=found.drift_message,
            watched_decision=found.decision,
            watched_alerts=[asdict(alert) for alert in found.alerts],
        )
        self.screen.say(f"dashboard kubectl -n {install.SYSTEM} port-forward service/podium-monitor {MONITOR_PORT}:8091")
        self.screen.say(f"          then http://127.0.0.1:{MONITOR_PORT}/deployments/{NAMESPACE}/churn")
        self.screen.say(f"alerts    kubectl -n {PLACE} port-forward service/prometheus {prometheus.PORT}:9090")
        page = "classic/alerts" if self.where.local else "alerts"  # Debian's has the first pages of Prometheus alone
        self.screen.say(f"          then http://127.0.0.1:{prometheus.PORT}/{page}")

    # --- 7 ------------------------------------------------------------------------------------------------------

    def _summary(self) -> None:
        self.screen.text(self.kubectl("get", "mdep,mv"))
        kubeconfig = self.where.environment["KUBECONFIG"]
        self.screen.say(f"endpoint  {self.url}/v2/models/churn/infer")
        self.screen.say(f"docs      {self.url}/docs")
        self.screen.say(f"metrics   {self.url}/metrics")
        self.screen.say("")
        self.screen.say("Try next:")
        self.screen.say(f"  export KUBECONFIG={kubeconfig}; kubectl -n {NAMESPACE} get mdep,mv")
        self.screen.say(f"  kubectl -n {NAMESPACE} describe mdep churn")
        self.screen.say("  make demo-down        # takes the demo back; make cluster-down the cluster")

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise DemoError(f"{otherwise}\n{self.kubectl.overview()}")


def take_back() -> None:
    """Models, endpoint and Podium itself. The cluster stays."""
    where = chosen(bring_up=False)
    where.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    prometheus.remove(where)
    install.uninstall(where)
    where.run("kubectl", "delete", "crd", "modeldeployments.podium.dev", "modelversions.podium.dev", "--ignore-not-found")
