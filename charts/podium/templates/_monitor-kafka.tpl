{{/* What the collector reads of Kafka: monitor/podium_monitor/kafka/settings.py. Empty values are left out: its defaults hold. */}}
{{- define "podium.kafkaEnvironment" -}}
{{- $kafka := .Values.monitor.kafka }}
{{- if $kafka.brokers }}
{{- $oauth := eq $kafka.sasl.mechanism "OAUTHBEARER" }}
{{- $settings := list
  (list "BROKERS" (join "," $kafka.brokers))
  (list "TLS" ($kafka.tls.enabled | ternary "On" ""))
  (list "CA_FILE" (empty $kafka.tls.caConfigMap | ternary "" "/etc/podium/kafka-ca/ca.crt"))
  (list "CERTIFICATE_DIR" (empty $kafka.tls.certificateSecret | ternary "" "/etc/podium/kafka-tls"))
  (list "SASL" $kafka.sasl.mechanism)
  (list "CREDENTIALS_DIR" (empty $kafka.sasl.mechanism | ternary "" "/etc/podium/kafka-credentials"))
  (list "TOKEN_URL" ($oauth | ternary $kafka.sasl.tokenUrl ""))
  (list "SCOPE" ($oauth | ternary $kafka.sasl.scope ""))
  (list "SOURCES" (empty $kafka.sources | ternary "" (toJson $kafka.sources)))
  (list "GROUP" $kafka.group)
  (list "START" $kafka.start)
  (list "DEAD_LETTER_TOPIC" $kafka.deadLetterTopic)
  (list "SINKS" (empty $kafka.sinks | ternary "" (toJson $kafka.sinks)))
}}
{{- range $settings }}
{{- $value := index . 1 }}
{{- if $value }}
- {name: PODIUM_KAFKA_{{ index . 0 }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Its files: volume, folder, and what the volume is of. Called with the root; gives YAML of a list. */}}
{{- define "podium.kafkaFiles" -}}
{{- $kafka := .Values.monitor.kafka }}
{{- if $kafka.brokers }}
{{- with $kafka.tls.caConfigMap }}
- {name: kafka-ca, folder: /etc/podium/kafka-ca, source: {configMap: {name: {{ . }}}}}
{{- end }}
{{- with $kafka.tls.certificateSecret }}
- {name: kafka-tls, folder: /etc/podium/kafka-tls, source: {secret: {secretName: {{ . }}, defaultMode: 0440}}}
{{- end }}
{{- if $kafka.sasl.mechanism }}
- {name: kafka-credentials, folder: /etc/podium/kafka-credentials, source: {secret: {secretName: {{ $kafka.sasl.credentialsSecret }}, defaultMode: 0440}}}
{{- end }}
{{- end }}
{{- end }}
