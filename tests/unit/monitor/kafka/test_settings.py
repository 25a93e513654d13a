"""The environment says how Kafka is reached and what topics hold; what is wrong is named, and secrets are shown nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from podium_monitor.kafka.client import configuration_of
from podium_monitor.kafka.settings import InvalidKafka, kafka_settings

SOURCE = '[{"topic": "churn", "deployments": ["shop/churn"]}]'


def environment(**changes: str) -> dict[str, str]:
    found = {"PODIUM_KAFKA_BROKERS": "a.example.com:9093, b.example.com:9093", "PODIUM_KAFKA_SOURCES": SOURCE}
    return {**found, **{f"PODIUM_KAFKA_{name}": value for name, value in changes.items()}}


def credentials(folder: Path, **files: str) -> str:
    for name, content in files.items():
        (folder / name).write_text(content)
    return str(folder)


def test_without_brokers_there_is_no_kafka() -> None:
    assert kafka_settings({}) is None


def test_what_is_left_out_has_a_default() -> None:
    found = kafka_settings(environment())
    assert found is not None
    assert (found.access.brokers, found.access.tls) == ("a.example.com:9093,b.example.com:9093", False)
    assert (found.group, found.start, found.dead_letter_topic, found.sinks) == ("podium-collector", "Earliest", "", ())
    [topic] = found.sources
    assert (topic.holds, topic.join_key_hashing, topic.only) == (("Predictions", "Labels"), "None", ("shop", "churn"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"BROKERS": "kafka"}, "PODIUM_KAFKA_BROKERS has 'kafka', must be host:port"),
        ({"BROKERS": "https://kafka:9092"}, "must be host:port"),
        ({"BROKERS": "kafka:99999"}, "must be host:port"),
        ({"SOURCES": ""}, "neither PODIUM_KAFKA_SOURCES nor PODIUM_KAFKA_SINKS"),
        ({"SOURCES": "churn"}, "PODIUM_KAFKA_SOURCES: must be a JSON list"),
        ({"SOURCES": '[{"topic": "churn"}]'}, "missing required field `deployments`"),
        ({"SOURCES": '[{"topic": "churn", "deployments": []}]'}, "has no deployments"),
        (
            {"SOURCES": '[{"topic": "churn", "deployments": ["shop"]}]'},
            "the deployment 'shop', must be '<namespace>/<name>'",
        ),
        ({"SOURCES": '[{"topic": "churn", "deployments": ["../x"]}]'}, "must be '<namespace>/<name>'"),
        ({"SOURCES": '[{"topic": "a b", "deployments": ["*/*"]}]'}, "'a b' is no topic"),
        ({"SOURCES": '[{"topic": "a", "deployments": ["*/*"], "holds": []}]'}, "holds nothing"),
        ({"SOURCES": '[{"topic": "a", "deployments": ["*/*"], "holds": ["Shadows"]}]'}, "Invalid enum value"),
        ({"SOURCES": f"[{SOURCE[1:-1]}, {SOURCE[1:-1]}]"}, "the topic churn is there twice"),
        ({"SINKS": SOURCE}, "the topic churn is read and written to"),
        ({"DEAD_LETTER_TOPIC": "churn"}, "the topic churn is read and written to"),
        ({"DEAD_LETTER_TOPIC": "a/b"}, "PODIUM_KAFKA_DEAD_LETTER_TOPIC: 'a/b' is no topic"),
        ({"START": "Now"}, "PODIUM_KAFKA_START is 'Now', must be Earliest or Latest"),
        ({"TLS": "yes"}, "PODIUM_KAFKA_TLS is 'yes', must be On or Off"),
        ({"CA_FILE": "/"}, "without PODIUM_KAFKA_TLS=On"),
        ({"TLS": "On", "CA_FILE": "/nowhere"}, "PODIUM_KAFKA_CA_FILE is '/nowhere', which is not there"),
        ({"SASL": "GSSAPI"}, "PODIUM_KAFKA_SASL is 'GSSAPI', must be one of PLAIN, SCRAM-SHA-256"),
        ({"SASL": "PLAIN"}, "PODIUM_KAFKA_SASL is PLAIN, which tells brokers its secret: set PODIUM_KAFKA_TLS=On"),
        ({"SASL": "PLAIN", "TLS": "On"}, "PODIUM_KAFKA_CREDENTIALS_DIR is not set"),
        ({"SASL": "OAUTHBEARER", "TLS": "On", "TOKEN_URL": "http://id.example.com/t"}, "must begin with https://"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidKafka) as error:
        kafka_settings(environment(**changes))
    assert says in str(error.value)


def test_credentials_are_read_from_their_files_and_shown_nowhere(tmp_path: Path) -> None:
    folder = credentials(tmp_path, username="podium\n", password="geheim\n")
    found = kafka_settings(environment(SASL="SCRAM-SHA-512", TLS="On", CREDENTIALS_DIR=folder, CA_FILE=folder))
    assert found is not None
    told = configuration_of(found.access)
    assert {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"}.items() <= told.items()
    assert (told["sasl.username"], told["sasl.password"], told["ssl.ca.location"]) == ("podium", "geheim", folder)
    assert "geheim" not in repr(found)
    (tmp_path / "password").write_text("neu")  # a renewed Secret
    assert configuration_of(found.access)["sasl.password"] == "neu"
    (tmp_path / "password").unlink()
    with pytest.raises(InvalidKafka, match="password cannot be read"):
        configuration_of(found.access)


def test_oauthbearer_has_tokens_of_client_credentials(tmp_path: Path) -> None:
    folder = credentials(tmp_path, clientId="podium", clientSecret="geheim")
    told: dict[str, Any] = {"SASL": "OAUTHBEARER", "TLS": "On", "CREDENTIALS_DIR": folder, "SCOPE": "kafka"}
    found = kafka_settings(environment(**told, TOKEN_URL="https://id.example.com/token"))
    assert found is not None
    configured = configuration_of(found.access)
    assert configured["sasl.oauthbearer.method"] == "oidc"
    assert configured["sasl.oauthbearer.token.endpoint.url"] == "https://id.example.com/token"
    assert (configured["sasl.oauthbearer.client.secret"], configured["sasl.oauthbearer.scope"]) == ("geheim", "kafka")


@pytest.mark.parametrize(
    ("deployments", "covered"),
    [
        (["shop/churn"], [True, False, False]),
        (["shop/*"], [True, True, False]),
        (["*/churn"], [True, False, True]),
        (["*/*"], [True, True, True]),
        (["shop/fraud", "risk/churn"], [False, True, True]),
    ],
)
def test_a_topic_covers_the_deployments_that_it_names(deployments: list[str], covered: list[bool]) -> None:
    found = kafka_settings(environment(SOURCES=json.dumps([{"topic": "t", "deployments": deployments}])))
    assert found is not None
    [topic] = found.sources
    assert [topic.covers(*one) for one in (("shop", "churn"), ("shop", "fraud"), ("risk", "churn"))] == covered
