"""Kafka beside HTTP: the collector may read what others publish (source), and publish what it made durable (sink).

Neither is there unless the environment names brokers; librdkafka is imported only then. HTTP never waits for a broker.
docs/guide/kafka.md is for those who set it up, docs/decisions/20261121-kafka.md says why it is so.
"""
