{{/* Name of everything: the release's, with "llmfleet" in it. */}}
{{- define "llmfleet.fullname" -}}
{{- if contains "llmfleet" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-llmfleet" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What finds the operator's pods; a Deployment's selector can never be changed. */}}
{{- define "llmfleet.selectorLabels" -}}
app.kubernetes.io/name: llmfleet-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "llmfleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "llmfleet.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: llmfleet
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The operator's image, by digest where one is given. */}}
{{- define "llmfleet.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The namespaces of scope "namespace", as a JSON list under the key "names". */}}
{{- define "llmfleet.namespaces" -}}
{{- dict "names" (.Values.watchNamespaces | default (list .Release.Namespace)) | toJson -}}
{{- end }}

{{/* The settings file: .Values.settings with the changes to single GPU profiles laid over the list. `omit` copies. */}}
{{- define "llmfleet.settings" -}}
{{- $names := list -}}
{{- $profiles := list -}}
{{- range .Values.settings.gpuProfiles -}}
{{- $names = append $names .name -}}
{{- $profile := omit . "" -}}
{{- range $field, $value := get $.Values.gpuProfileOverrides .name | default dict -}}
{{- $_ := set $profile $field $value -}}
{{- end -}}
{{- if $.Values.defaultGpuProfile -}}
{{- $_ := set $profile "default" (eq .name $.Values.defaultGpuProfile) -}}
{{- end -}}
{{- $profiles = append $profiles $profile -}}
{{- end -}}
{{- range append (keys .Values.gpuProfileOverrides) .Values.defaultGpuProfile -}}
{{- if and . (not (has . $names)) -}}
{{- fail (printf "There is no GPU profile %q in settings.gpuProfiles, only: %s" . (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- toYaml (set (omit .Values.settings "gpuProfiles") "gpuProfiles" $profiles) -}}
{{- end }}


{{/* Name of everything that is the activators'; also the operator's word for their Service and their ports. */}}
{{- define "llmfleet.activator" -}}
{{ include "llmfleet.fullname" . }}-activator
{{- end }}

{{/* What finds the activators' pods. */}}
{{- define "llmfleet.activatorSelectorLabels" -}}
app.kubernetes.io/name: llmfleet-activator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object of the activators. */}}
{{- define "llmfleet.activatorLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "llmfleet.activatorSelectorLabels" . }}
app.kubernetes.io/component: activator
app.kubernetes.io/part-of: llmfleet
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The engines' pods where LLMDeployments are served, as a peer of a NetworkPolicy. */}}
{{- define "llmfleet.engines" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/managed-by: llmfleet
      app.kubernetes.io/component: engine
  {{- if eq .Values.scope "cluster" }}
  namespaceSelector: {}
  {{- else }}
  namespaceSelector:
    matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ (include "llmfleet.namespaces" . | fromJson).names | toJson }}
  {{- end }}
{{- end }}
