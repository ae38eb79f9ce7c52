{{/*
Rules for the operator's ServiceAccount: a Role with its binding in .namespace, or in the whole cluster without one.
Given: root, rules, namespace and name (to tell Roles of one namespace apart).
*/}}
{{- define "pawl.grant" -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") }}
{{- $name := include "pawl.fullname" .root }}
{{- if hasKey . "namespace" }}{{ $name = printf "%s-%s" $name .name }}{{ end }}
{{- if .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "pawl.labels" .root | nindent 4 }}
rules:
{{ toYaml .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "pawl.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
- kind: ServiceAccount
  name: {{ include "pawl.serviceAccountName" .root }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}
{{- end }}
