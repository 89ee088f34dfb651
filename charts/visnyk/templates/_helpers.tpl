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

{{/* Fails if another release looks after a namespace of this one: only one operator manages a resource. One in the
same namespace would wait for ever for the same Lease. */}}
{{- define "visnyk.checkOverlap" -}}
{{- $ours := .Values.watchNamespaces -}}
{{- range (lookup "apps/v1" "Deployment" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $release := get $labels "app.kubernetes.io/instance" -}}
{{- $isOther := or (ne .metadata.namespace $.Release.Namespace) (ne $release $.Release.Name) -}}
{{- if and $isOther (eq (get $labels "app.kubernetes.io/name") "visnyk-operator") -}}
{{- if eq .metadata.namespace $.Release.Namespace -}}
{{- fail (printf "release %s is in this namespace too: both would have the Lease visnyk-operator, and only one would work (checkOverlap: false installs both)" $release) -}}
{{- end -}}
{{- $theirs := list -}}
{{- range (index .spec.template.spec.containers 0).env -}}
{{- if eq .name "VISNYK_WATCH_NAMESPACES" -}}
{{- $theirs = without (splitList "," (.value | default "")) "" -}}
{{- end -}}
{{- end -}}
{{- $shared := list -}}
{{- range $theirs -}}{{- if has . $ours -}}{{- $shared = append $shared . -}}{{- end -}}{{- end -}}
{{- if or (not $ours) (not $theirs) $shared -}}
{{- $what := "all namespaces" -}}
{{- if $shared -}}{{- $what = join ", " $shared -}}{{- else if $theirs -}}{{- $what = join ", " $theirs -}}{{- end -}}
{{- $told := "release %s in namespace %s looks after %s, and this release would too: give each its own watchNamespaces, or uninstall one (checkOverlap: false installs both)" -}}
{{- fail (printf $told $release .metadata.namespace $what) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
