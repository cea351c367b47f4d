{{/*
The shell-style patterns of settings.engine.allowedImages as one regular expression (RE2): `*`, `?` and `[..]` keep their
meaning, everything else stands for itself. Nothing is allowed where there is no pattern.
*/}}
{{- define "llmfleet.allowedImages" -}}
{{- $patterns := list -}}
{{- range .engine.allowedImages -}}
{{- $quoted := regexQuoteMeta . | replace "\\*" ".*" | replace "\\?" "." | replace "\\[!" "[^" | replace "\\[" "[" | replace "\\]" "]" -}}
{{- $patterns = append $patterns $quoted -}}
{{- end -}}
{{- if $patterns -}}^({{ join "|" $patterns }})${{- else -}}^\b$ {{- end -}}
{{- end }}

{{/* The namespaces that are served. */}}
{{- define "llmfleet.servedSelector" -}}
{{- if eq .Values.scope "cluster" -}}
namespaceSelector: {}
{{- else -}}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{ (include "llmfleet.namespaces" . | fromJson).names | toJson }}
{{- end -}}
{{- end }}
