{{/* The operator's Pod. Settings are variables: an older image ignores those that it does not know. */}}

{{- define "pawl.podSpec" -}}
serviceAccountName: {{ include "pawl.serviceAccountName" . }}
automountServiceAccountToken: true
{{- include "pawl.imagePullSecrets" . }}
{{- with include "pawl.priorityClassName" . }}
priorityClassName: {{ . }}
{{- end }}
{{- if not (kindIs "invalid" .Values.hostUsers) }}
hostUsers: {{ .Values.hostUsers }}
{{- end }}
# A Service named like a setting would become a variable of the same name.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  {{- include "pawl.compact" .Values.podSecurityContext | nindent 2 }}
{{- include "pawl.placement" . }}
{{- with .Values.initContainers }}
initContainers:
{{- toYaml . | nindent 0 }}
{{- end }}
containers:
- {{- include "pawl.container" . | trim | nindent 2 }}
{{- with .Values.extraContainers }}
{{- toYaml . | nindent 0 }}
{{- end }}
volumes:
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- with .Values.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "pawl.placement" -}}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- range $key := list "dnsConfig" "nodeSelector" "affinity" "tolerations" }}
{{- with index $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
{{- $selector := dict "matchLabels" (include "pawl.selectorLabels" $ | fromYaml) }}
- {{- merge (deepCopy .) (dict "labelSelector" $selector) | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pawl.container" -}}
name: pawl
image: {{ include "pawl.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run]
env:
{{- include "pawl.env" . | trim | nindent 0 }}
{{- with .Values.extraEnv }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
{{- toYaml . | nindent 0 }}
{{- end }}
ports:
- name: http
  containerPort: 8080
  protocol: TCP
{{- if include "pawl.webhook" . }}
- name: webhook
  containerPort: 8443
  protocol: TCP
{{- end }}
{{- range $name, $path := dict "startup" "/healthz" "liveness" "/healthz" "readiness" "/readyz" }}
{{ $name }}Probe:
  httpGet:
    path: {{ $path }}
    port: http
  {{- toYaml (index $.Values.probes $name) | nindent 2 }}
{{- end }}
resources:
  {{- include "pawl.compact" .Values.resources | nindent 2 }}
securityContext:
  {{- include "pawl.compact" .Values.securityContext | nindent 2 }}
volumeMounts:
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "pawl.env" -}}
- name: PAWL_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: PAWL_BIND
  value: {{ include "pawl.listen" (list . 8080) | quote }}
- name: PAWL_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: PAWL_IMAGE
  value: {{ include "pawl.image" . | quote }}
{{- if include "pawl.webhook" . }}
- name: PAWL_WEBHOOK
  value: {{ include "pawl.listen" (list . 8443) | quote }}
{{- if .Values.webhook.certManager.enabled }}
- name: PAWL_WEBHOOK_CERTIFICATES
  value: Secret
{{- end }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: PAWL_WATCH_NAMESPACES
  value: {{ uniq . | join "," | quote }}
{{- end }}
{{- with .Values.plainHTTPHosts }}
- name: PAWL_PLAIN_HTTP_HOSTS
  value: {{ uniq . | join "," | quote }}
{{- end }}
{{- with include "pawl.pullSecretNames" . }}
- name: PAWL_PULL_SECRETS
  value: {{ . | quote }}
{{- end }}
{{- end }}
