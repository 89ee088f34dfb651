{{/* The name of everything that is the operator's: the release's, and what it is. */}}
{{- define "visnyk.operator" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}-operator
{{- end }}

{{- define "visnyk.selector" -}}
app.kubernetes.io/name: visnyk-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "visnyk.labels" -}}
{{ include "visnyk.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: visnyk
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* An image of ours: (list $ "visnyk-relay"). */}}
{{- define "visnyk.image" -}}
{{- $ := index . 0 -}}
{{ $.Values.images.folder }}/{{ index . 1 }}:{{ $.Values.images.tag }}
{{- end }}

{{/* The security of a container under the restricted Pod Security Standard. */}}
{{- define "visnyk.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "visnyk.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
