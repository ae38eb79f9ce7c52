{{/* Names, labels and selectors, the one image of every role, pull Secrets. Checks of values: _validate.tpl. */}}

{{- define "pawl.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pawl.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* What never changes: a Deployment's selector is immutable. */}}
{{- define "pawl.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pawl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels of every object; the component is given as (list . "component"). */}}
{{- define "pawl.labelsOf" -}}
{{- $root := index . 0 }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
app.kubernetes.io/name: {{ include "pawl.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: pawl
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pawl.labels" -}}
{{- include "pawl.labelsOf" (list . "operator") | trim }}
{{- end }}

{{/* The host of image.repository, or nothing: as references are read, a first segment with a dot or a colon, or localhost. */}}
{{- define "pawl.repositoryHost" -}}
{{- $first := first (splitList "/" .Values.image.repository) }}
{{- if and (contains "/" .Values.image.repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) }}
{{- $first }}
{{- end }}
{{- end }}

{{/* The image of every container that the chart makes. */}}
{{- define "pawl.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry }}
{{- $host := include "pawl.repositoryHost" . }}
{{- $repository := .Values.image.repository }}
{{- if $registry }}
{{- $repository = printf "%s/%s" (trimSuffix "/" $registry) (trimPrefix (printf "%s/" $host) $repository) }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Names of all pull Secrets, each once, joined by commas. */}}
{{- define "pawl.pullSecretNames" -}}
{{- $names := list }}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- $names = append $names (kindIs "string" . | ternary . (get (kindIs "map" . | ternary . dict) "name")) }}
{{- end }}
{{- join "," (uniq $names) }}
{{- end }}

{{- define "pawl.imagePullSecrets" -}}
{{- with include "pawl.pullSecretNames" . }}
imagePullSecrets:
{{- range splitList "," . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pawl.serviceAccountName" -}}
{{- default (include "pawl.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "pawl.priorityClassName" -}}
{{- ternary (include "pawl.fullname" .) .Values.priorityClassName .Values.priorityClass.create }}
{{- end }}

{{/* "true" where the webhook can be used: its configuration is an object of the cluster, out of reach with watchNamespaces. */}}
{{- define "pawl.webhook" -}}
{{- if and .Values.gate.enabled (not .Values.watchNamespaces) }}true{{ end }}
{{- end }}

{{/* The version in which MutatingAdmissionPolicies are rendered; nothing where they are not. */}}
{{- define "pawl.policyVersion" -}}
{{- $group := "admissionregistration.k8s.io" }}
{{- $beta := .Capabilities.APIVersions.Has (printf "%s/v1beta1/MutatingAdmissionPolicy" $group) }}
{{- $stable := .Capabilities.APIVersions.Has (printf "%s/v1/MutatingAdmissionPolicy" $group) }}
{{- if and .Values.gate.enabled (ne .Values.gate.policy "Never") (or $stable $beta (eq .Values.gate.policy "Always")) }}
{{- ternary "v1beta1" "v1" (and $beta (not $stable)) }}
{{- end }}
{{- end }}

{{/* A map without the fields that are null. */}}
{{- define "pawl.compact" -}}
{{- $kept := dict }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $kept $key $value }}{{ end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}

{{/* HOST:PORT for the operator, given (list . port). */}}
{{- define "pawl.listen" -}}
{{- $address := (index . 0).Values.bindAddress }}
{{- printf (contains ":" $address | ternary "[%s]:%v" "%s:%v") $address (index . 1) }}
{{- end }}
