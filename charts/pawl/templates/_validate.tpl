{{/* What a schema cannot say, or not in a sentence. Called once, by the Deployment. */}}

{{- define "pawl.validate" -}}
{{- $host := include "pawl.repositoryHost" . }}
{{- $image := .Values.image }}
{{- if not (or $image.registry .Values.global.imageRegistry $host) }}
{{- fail "Pawl has no public image: say where yours is with image.registry (or global.imageRegistry), such as --set image.registry=registry.example.com" }}
{{- end }}
{{- if and $image.registry $host }}
{{- fail (printf "image.registry %q and the host of image.repository %q say the same thing twice: set one of them" $image.registry $image.repository) }}
{{- end }}
{{- range $key, $registry := dict "image.registry" $image.registry "global.imageRegistry" .Values.global.imageRegistry }}
{{- if contains "://" $registry }}
{{- fail (printf "%s %q has a scheme: write host, port and path only, such as registry.example.com:5000" $key $registry) }}
{{- end }}
{{- end }}
{{- if or (contains "@" $image.repository) (contains ":" (last (splitList "/" $image.repository))) }}
{{- fail (printf "image.repository %q has a tag or a digest in it: set image.tag or image.digest" $image.repository) }}
{{- end }}
{{- if and $image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" $image.digest)) }}
{{- fail (printf "image.digest %q is no digest: it is sha256: and 64 hexadecimal digits" $image.digest) }}
{{- end }}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$" (default .Chart.AppVersion $image.tag)) }}
{{- fail (printf "image.tag %q is no tag: letters, digits, dots, dashes and underscores, 128 at most" $image.tag) }}
{{- end }}
{{- include "pawl.validateRest" . }}
{{- end }}

{{- define "pawl.validateRest" -}}
{{- range .Values.watchNamespaces }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" .) }}
{{- fail (printf "watchNamespaces: %q is no name of a namespace" .) }}
{{- end }}
{{- end }}
{{- range .Values.plainHTTPHosts }}
{{- if contains "/" . }}
{{- fail (printf "plainHTTPHosts: %q is not host:port" .) }}
{{- end }}
{{- end }}
{{- if and .Values.rbac.secrets.namespaces (eq .Values.rbac.secrets.scope "All") }}
{{- fail "rbac.secrets.namespaces has no meaning while rbac.secrets.scope is All: set the scope to Namespaces" }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create is false: name the ServiceAccount that is there in serviceAccount.name" }}
{{- end }}
{{- if and .Values.priorityClass.create .Values.priorityClassName }}
{{- fail "priorityClass.create makes a PriorityClass of the release's name: leave priorityClassName empty, or do not create one" }}
{{- end }}
{{- if and .Values.webhook.certManager.enabled (not (include "pawl.webhook" .)) }}
{{- fail "webhook.certManager.enabled asks for the certificate of a webhook that is not there: it needs gate.enabled and no watchNamespaces" }}
{{- end }}
{{- include "pawl.validateBudget" . }}
{{- end }}

{{- define "pawl.validateBudget" -}}
{{- $least := .Values.pdb.minAvailable }}
{{- $most := .Values.pdb.maxUnavailable }}
{{- if and .Values.pdb.enabled (gt (int .Values.replicas) 1) }}
{{- if kindIs "invalid" $most }}
{{- if kindIs "invalid" $least }}
{{- fail "pdb needs minAvailable or maxUnavailable: set one, or pdb.enabled to false" }}
{{- else if and (not (kindIs "string" $least)) (ge (int $least) (int .Values.replicas)) }}
{{- fail (printf "pdb.minAvailable %v of %v replicas lets no node be drained: leave one less" $least .Values.replicas) }}
{{- end }}
{{- else if and (not (kindIs "string" $most)) (eq (int $most) 0) }}
{{- fail "pdb.maxUnavailable 0 lets no node be drained: set 1" }}
{{- end }}
{{- end }}
{{- end }}
