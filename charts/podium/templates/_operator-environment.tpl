{{/* The operator's settings, operator/podium_operator/settings.py. Empty values are left out: its defaults hold. */}}
{{- define "podium.operatorEnvironment" -}}
- name: PODIUM_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: PODIUM_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- $collector := .Values.monitor.enabled | ternary (printf "http://%s:8090/v1/events" (include "podium.collectorHost" .)) "" }}
{{- $monitor := .Values.monitor.enabled | ternary (printf "http://%s:8091" (include "podium.collectorHost" .)) "" }}
{{- $settings := list
  (list "SCORING_IMAGE" .Values.images.serving.reference)
  (list "OPERATOR_IMAGE" .Values.images.operator.reference)
  (list "LEASE_NAME" (printf "%s-operator" (include "podium.fullname" .)))
  (list "WATCH_NAMESPACES" (join "," .Values.operator.watchNamespaces))
  (list "WORKERS" .Values.operator.workers)
  (list "LOG_LEVEL" .Values.operator.logLevel)
  (list "INSECURE_REGISTRIES" (join "," .Values.insecureRegistries))
  (list "JOB_IMAGE_PULL_SECRETS" (join "," .Values.images.jobPullSecrets))
  (list "VERIFICATION_CPU" .Values.verification.cpu)
  (list "VERIFICATION_MEMORY" .Values.verification.memory)
  (list "VERIFICATION_DEADLINE_SECONDS" .Values.verification.deadlineSeconds)
  (list "DOCKER_HOST" .Values.builder.dockerHost)
  (list "DOCKER_CERTIFICATES_SECRET" .Values.builder.certificatesSecret)
  (list "BUILD_REPOSITORY" .Values.builder.repository)
  (list "BUILD_REGISTRY_SECRET" .Values.builder.registrySecret)
  (list "BUILD_PIP_SECRET" .Values.builder.pipSecret)
  (list "BUILD_CA_CONFIG_MAP" .Values.builder.caConfigMap)
  (list "BUILD_NETWORK" .Values.builder.network)
  (list "BUILD_DEADLINE_SECONDS" .Values.builder.deadlineSeconds)
  (list "COLLECTOR_URL" $collector)
  (list "MONITOR_URL" $monitor)
}}
{{- range $settings }}
{{- $value := index . 1 | toString }}
{{- if $value }}
- name: PODIUM_{{ index . 0 }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
