{{/*
What an activator may do where LLMDeployments are served: look at them and at their pods. It writes nothing: the
operator asks it who waits, and wakes.
*/}}
{{- define "llmfleet.activatorRules" -}}
- apiGroups: [serving.llmfleet.io]
  resources: [llmdeployments]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- end }}
