{{/* What the operator may do where models live. Each rule says what for; docs/rbac.md says what it means for you. */}}
{{- define "podium.operatorRules" -}}
# The wishes. Never written.
- apiGroups: [podium.dev]
  resources: [modelversions, modeldeployments]
  verbs: [get, list, watch]
# What it found.
- apiGroups: [podium.dev]
  resources: [modelversions/status, modeldeployments/status]
  verbs: [patch]
# Children of a ModelDeployment: pools of pods, their Services, the record of the committed plan, and what protects them.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# Scoring pods: found to be prepared and committed, deleted when one cannot be. None is created, none is exec'd into.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
# A deployment's salt and tokens are made; pull secrets that a ModelVersion names are read. Secrets are never listed.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
# Verification and build Jobs.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
