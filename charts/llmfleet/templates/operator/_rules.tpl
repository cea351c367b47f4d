{{/*
What the operator may do where LLMDeployments are served: the one source of the ClusterRole and of the Roles.
Server-side apply needs `patch`, and `create` for what is not there yet. Children go with their owner; all that the
operator deletes are pods whose engine hangs, and children of its own making that the spec does not ask for any more. It
reads no Secret, and executes nothing.
*/}}
{{- define "llmfleet.rules" -}}
- apiGroups: [serving.llmfleet.io]
  resources: [llmdeployments]
  verbs: [list, watch]
- apiGroups: [serving.llmfleet.io]
  resources: [llmdeployments/status]
  verbs: [patch]
- apiGroups: [serving.llmfleet.io]   # the autoscaler writes replicas as any other autoscaler would
  resources: [llmdeployments/scale]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]   # the template to go back to when replicas of a changed spec do not start
  resources: [replicasets]
  verbs: [get]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.settings.prometheus.address }}
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
- apiGroups: [discovery.k8s.io]   # the activators' place in the address of an object at zero
  resources: [endpointslices]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]   # patch: controller.kubernetes.io/pod-deletion-cost, so that the idlest pod goes first
  resources: [pods]
  verbs: [list, watch, patch{{ if gt (int .Values.settings.hangs.replacementsPerHour) 0 }}, delete{{ end }}]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
