"""A real Kafka on this machine: one broker, its own controller. Maven fetches its jars once; they are kept in the cache."""

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cluster.build import exclusive
from cluster.layout import paths
from ports import free_ports
from security_fixtures import make_certificate

VERSION = "4.1.1"
"""The last whose broker runs on Java 17, which Debian 12 has."""
USER, PASSWORD = "podium", "kafka-secret"
_START_SECONDS = 180.0
_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>podium</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
  </dependencies>
</project>
"""
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SECURED://localhost:{secured}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SECURED://localhost:{secured}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=300
log.flush.interval.messages=1
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location={folder}/keystore.pem
listener.name.secured.ssl.truststore.type=PEM
listener.name.secured.ssl.truststore.location={folder}/client/tls.crt
listener.name.secured.ssl.client.auth=required
listener.name.secured.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.secured.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="{user}";
"""


def jars() -> Path:
    """The folder of the broker's jars. The first call fetches them, as this machine's Maven is set up to."""
    cache = paths(os.environ).cache
    folder = cache / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise RuntimeError(f"there is no {program}; `python hack/cluster packages` installs it")
    with exclusive(cache / "kafka.lock"):
        if not folder.is_dir():
            partial = cache / f"kafka-{VERSION}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            (partial / "pom.xml").write_text(_POM)
            options = ["--batch-mode", "--quiet", "--strict-checksums", "-DoutputDirectory=jars"]
            command = ["mvn", *options, "dependency:copy-dependencies"]
            subprocess.run(command, cwd=partial, check=True, timeout=600, stdout=subprocess.DEVNULL)
            partial.rename(folder)
    return folder


@dataclass
class KafkaServer:
    """Restartable: its topics lie in `folder`. Of two listeners one is open, one wants TLS, a certificate and SASL."""

    folder: Path
    ports: Sequence[int] = field(default_factory=lambda: free_ports(3))
    process: subprocess.Popen[bytes] | None = None

    @property
    def brokers(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def secured_brokers(self) -> str:
        return f"localhost:{self.ports[2]}"

    @property
    def authority(self) -> Path:
        """Signs the broker's certificate."""
        return self.folder / "ca.crt"

    @property
    def client_certificate(self) -> Path:
        """A folder with the tls.crt and tls.key of a client that the broker knows."""
        return self.folder / "client"

    def prepare(self) -> None:
        server, client = make_certificate(), make_certificate()
        self.authority.write_bytes(server.certificate)
        (self.folder / "keystore.pem").write_bytes(server.key + server.certificate)
        self.client_certificate.mkdir()
        for name, content in client.files.items():
            (self.client_certificate / name).write_bytes(content)
        plain, controller, secured = self.ports
        text = _PROPERTIES.format(
            plain=plain, controller=controller, secured=secured, folder=self.folder, user=USER, password=PASSWORD
        )
        (self.folder / "server.properties").write_text(text)
        cluster = ["-t", "podium-tests-000000000", "-c", str(self.folder / "server.properties")]
        scram = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        subprocess.run(
            [*_java("kafka.tools.StorageTool", self.folder), "format", *cluster, *scram], check=True, capture_output=True
        )

    def start(self) -> None:
        with (self.folder / "kafka.log").open("ab") as log:
            command = [*_java("kafka.Kafka", self.folder), str(self.folder / "server.properties")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        ends = time.monotonic() + _START_SECONDS
        with self.admin() as admin:
            while True:
                try:
                    admin.list_topics(timeout=2)
                    return
                except KafkaException as error:
                    if self.process.poll() is not None or time.monotonic() > ends:
                        raise RuntimeError(f"Kafka does not answer: {(self.folder / 'kafka.log').read_text()}") from error

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(120)

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

    def topic(self, stem: str, partitions: int = 1, **settings: str) -> str:
        """A new topic; its name."""
        name = f"{stem}-{uuid.uuid4().hex[:8]}"
        self.make_topic(name, partitions, **settings)
        return name

    def make_topic(self, name: str, partitions: int = 1, **settings: str) -> None:
        config = {key.replace("_", "."): value for key, value in settings.items()}
        with self.admin() as admin:
            admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(60)

    def produce(self, topic: str, messages: Sequence[dict[str, Any]]) -> None:
        """`messages`: arguments of Producer.produce. Confirmed when it returns."""
        producer = Producer({"bootstrap.servers": self.brokers, "log_level": 0, "linger.ms": 5})
        failures: list[Any] = []
        for message in messages:
            producer.produce(topic, **message, on_delivery=lambda error, _: failures.append(error) if error else None)
            producer.poll(0)
        left = producer.flush(120)
        assert (left, failures) == (0, [])

    def messages(self, topic: str, seconds: float = 0.0, enough: int = 2**31) -> list[Message]:
        """All that are there now; or waits at most `seconds` until there are `enough`."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "test", "log_level": 0})
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            ends = time.monotonic() + seconds
            highs = _ends_of(consumer, topic, list(partitions))
            while sum(highs) < enough and time.monotonic() < ends:
                time.sleep(0.05)
                highs = _ends_of(consumer, topic, list(partitions))
            found: list[Message] = []
            while len(found) < sum(highs):
                found += [one for one in consumer.consume(1000, 0.2) if one.error() is None]
            return found
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> int:
        """Records of all partitions that the group has behind it."""
        with self.admin() as admin:
            asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
            found = asked[group].result(60).topic_partitions
        return sum(max(0, one.offset) for one in found if one.topic == topic)


def _ends_of(consumer: Consumer, topic: str, partitions: Sequence[int], tries: int = 20) -> list[int]:
    """A broker that started a moment ago may not lead its partitions yet."""
    try:
        return [consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=30)[1] for one in partitions]
    except KafkaException:
        if tries == 0:
            raise
        time.sleep(0.25)
        return _ends_of(consumer, topic, partitions, tries - 1)


def value_of(message: Message) -> Any:
    return json.loads(message.value() or b"null")


@contextmanager
def broker(folder: Path) -> Iterator[KafkaServer]:
    server = KafkaServer(folder)
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _java(program: str, folder: Path) -> list[str]:
    """What it unpacks lies in `folder`: one that is killed takes nothing of it away."""
    options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
    options += [f"-Djava.io.tmpdir={folder}", "-XX:-UsePerfData"]
    return ["java", *options, "-cp", f"{jars()}/jars/*", program]
