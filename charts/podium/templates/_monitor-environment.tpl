{{/* What both processes of the monitor read of the lake: monitor/podium_monitor/lake/opening.py. Called with the root. */}}
{{- define "podium.lakeEnvironment" -}}
{{- $storage := .Values.monitor.storage }}
{{- $s3 := $storage.s3 }}
{{- if eq $storage.type "S3" }}
- {name: PODIUM_LAKE, value: {{ printf "s3://%s%s" $s3.bucket (empty $s3.prefix | ternary "" (printf "/%s" $s3.prefix)) | quote }}}
- {name: PODIUM_LAKE_S3_REGION, value: {{ $s3.region | quote }}}
{{- with $s3.endpoint }}
- {name: PODIUM_LAKE_S3_ENDPOINT, value: {{ . | quote }}}
{{- end }}
- {name: PODIUM_CACHE_DIR, value: /var/cache/podium}
# Of each process; the volume holds both.
- {name: PODIUM_CACHE_MEBIBYTES, value: "4096"}
{{- with $s3.credentialsSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" }}
- name: {{ $key }}
  valueFrom: {secretKeyRef: {name: {{ $s3.credentialsSecret }}, key: {{ $key }}{{ if eq $key "AWS_SESSION_TOKEN" }}, optional: true{{ end }}}}
{{- end }}
{{- end }}
{{- else }}
- {name: PODIUM_LAKE, value: /var/lib/podium/lake}
{{- end }}
- {name: PODIUM_COLLECTOR_KEY_FILE, value: /etc/podium/collector/key}
{{- end }}

{{/* The lake as files: a volume of it, or copies of the bucket's. Called with (dict "root" $ "container" "collector"). */}}
{{- define "podium.lakeMount" -}}
{{- if eq .root.Values.monitor.storage.type "S3" -}}
- {name: cache, mountPath: /var/cache/podium, subPath: {{ .container }}}
{{- else -}}
- {name: lake, mountPath: /var/lib/podium/lake}
{{- end }}
{{- end }}

{{/* How people sign in: monitor/podium_monitor/sign_in/settings.py. Empty values are left out: its defaults hold. */}}
{{- define "podium.signInEnvironment" -}}
{{- $sign := .Values.monitor.signIn }}
{{- $settings := list (list "DASHBOARD_URL" $sign.url) }}
{{- if ne $sign.type "Closed" }}
{{- $settings = append $settings (list "SIGN_IN" $sign.type) }}
{{- end }}
{{- if eq $sign.type "Oidc" }}
{{- $oidc := $sign.oidc }}
{{- $settings = concat $settings (list
  (list "OIDC_ISSUER" $oidc.issuer)
  (list "OIDC_CLIENT_ID" $oidc.clientId)
  (list "OIDC_CLIENT_SECRET_FILE" (empty $oidc.clientSecret | ternary "" "/etc/podium/oidc/clientSecret"))
  (list "OIDC_SCOPES" $oidc.scopes)
  (list "OIDC_USER_CLAIM" $oidc.userClaim)
  (list "OIDC_USER_PREFIX" $oidc.userPrefix)
  (list "OIDC_GROUPS_CLAIM" $oidc.groupsClaim)
  (list "OIDC_GROUPS_PREFIX" $oidc.groupsPrefix)
  (list "OIDC_CA_FILE" (empty $oidc.caConfigMap | ternary "" "/etc/podium/oidc-ca/ca.crt"))
  (list "SESSION_SECONDS" $sign.sessionSeconds))
}}
{{- else if eq $sign.type "Proxy" }}
{{- $proxy := $sign.proxy }}
{{- $settings = concat $settings (list
  (list "PROXY_NAMES" (join "," $proxy.names))
  (list "PROXY_CA_FILE" "/etc/podium/proxy-ca/ca.crt")
  (list "PROXY_TLS_CERTIFICATE_FILE" "/etc/podium/proxy-tls/tls.crt")
  (list "PROXY_TLS_KEY_FILE" "/etc/podium/proxy-tls/tls.key")
  (list "PROXY_USER_HEADER" $proxy.userHeader)
  (list "PROXY_GROUPS_HEADER" $proxy.groupsHeader))
}}
{{- end }}
{{- range $settings }}
{{- $value := index . 1 | toString }}
{{- if $value }}
- {name: PODIUM_{{ index . 0 }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Files of sign-in and notifications: volume, folder, and what the volume is of. Called with the root; gives YAML of a list. */}}
{{- define "podium.evaluatorFiles" -}}
{{- $sign := .Values.monitor.signIn }}
{{- with .Values.monitor.notifications.receiversSecret }}
- {name: receivers, folder: /etc/podium/receivers, source: {secret: {secretName: {{ . }}, defaultMode: 0440, optional: true}}}
{{- end }}
{{- if and (eq $sign.type "Oidc") $sign.oidc.clientSecret }}
- {name: oidc, folder: /etc/podium/oidc, source: {secret: {secretName: {{ $sign.oidc.clientSecret }}, defaultMode: 0440}}}
{{- end }}
{{- if and (eq $sign.type "Oidc") $sign.oidc.caConfigMap }}
- {name: oidc-ca, folder: /etc/podium/oidc-ca, source: {configMap: {name: {{ $sign.oidc.caConfigMap }}}}}
{{- end }}
{{- if eq $sign.type "Proxy" }}
- {name: proxy-ca, folder: /etc/podium/proxy-ca, source: {configMap: {name: {{ $sign.proxy.caConfigMap }}}}}
- {name: proxy-tls, folder: /etc/podium/proxy-tls, source: {secret: {secretName: {{ $sign.proxy.certificateSecret }}, defaultMode: 0440}}}
{{- end }}
{{- end }}

{{- define "podium.monitorRules" -}}
# What there is to watch. Nothing is written.
- apiGroups: [podium.dev]
  resources: [modelversions, modeldeployments]
  verbs: [list, watch]
{{- end }}
