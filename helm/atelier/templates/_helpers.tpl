{{/* Names, labels and what several templates share. */}}

{{- define "atelier.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What names of pools' Deployments begin with, and so those of their pods. */}}
{{- define "atelier.poolPrefix" -}}{{ include "atelier.fullname" . }}-pool-{{- end }}

{{/* What never changes in the life of a release: selectors are immutable. */}}
{{- define "atelier.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "atelier.labels" -}}
{{ include "atelier.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: atelier
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* (list . "coordinator"): the image of a program, by digest where one is given. */}}
{{- define "atelier.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- $name := $image.repository -}}
{{- with $root.Values.images.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $name $image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) }}
{{- end -}}
{{- end }}

{{- define "atelier.stream" -}}{{ .Values.prefix }}-JOBS{{- end }}

{{/* Name of a user on NATS: "coordinator" or a pool's. Answers to it come on subjects of its own. */}}
{{- define "atelier.inbox" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.nats.accounts.enabled -}}
_INBOX.{{ $root.Values.prefix }}-{{ index . 1 }}
{{- else -}}
_INBOX
{{- end -}}
{{- end }}

{{/* The environment that says where NATS and the object store are; (list . "coordinator") or (list . POOL). */}}
{{- define "atelier.environment" -}}
{{- $root := index . 0 -}}
{{- $user := index . 1 -}}
{{- with $root.Values }}
- name: ATELIER_PREFIX
  value: {{ .prefix | quote }}
- name: ATELIER_NATS_URL
{{- if .nats.existingSecret }}
  valueFrom:
    secretKeyRef: {name: {{ .nats.existingSecret }}, key: {{ $user }}}
{{- else }}
  value: {{ .nats.url | quote }}
{{- end }}
- name: ATELIER_NATS_INBOX
  value: {{ include "atelier.inbox" (list $root $user) | quote }}
- name: ATELIER_NATS_REPLICAS
  value: {{ .nats.streamReplicas | quote }}
- name: ATELIER_STORE_URL
  value: {{ .store.url | quote }}
{{- if hasPrefix "s3://" .store.url }}
- name: AWS_REGION
  value: {{ .store.region | quote }}
{{- if .store.endpoint }}
- name: AWS_ENDPOINT
  value: {{ .store.endpoint | quote }}
{{- end }}
{{- if .store.allowHttp }}
- name: AWS_ALLOW_HTTP
  value: "true"
{{- end }}
{{- if .store.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ .store.existingSecret }}, key: AWS_ACCESS_KEY_ID}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .store.existingSecret }}, key: AWS_SECRET_ACCESS_KEY}
{{- end }}
{{- end }}
{{- with .otlp }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: service.namespace={{ $root.Values.prefix }},k8s.namespace.name={{ $root.Release.Namespace }}
{{- if .existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: headers}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "atelier.databaseUrl" -}}
- name: ATELIER_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.database.existingSecret }}, key: {{ .Values.database.key }}}
{{- end }}

{{- define "atelier.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "atelier.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "atelier.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What no schema can say: pool names are unique, and two pools that are scaled never read the same consumer. */}}
{{- define "atelier.check" -}}
{{- $names := list -}}
{{- $readers := dict -}}
{{- range $pool := .Values.pools -}}
{{- if has $pool.name $names }}{{ fail (printf "pools: %q is named twice" $pool.name) }}{{ end -}}
{{- $names = append $names $pool.name -}}
{{- if eq $pool.name "coordinator" }}{{ fail "pools: a pool cannot be named coordinator" }}{{ end -}}
{{- if and $.Values.keda.enabled (dig "autoscaling" "enabled" true $pool) -}}
{{- range $role := $pool.roles -}}
{{- with get $readers $role -}}
{{ fail (printf "pools: %q and %q both scale on the queue of %s jobs, and each would take the other's work for its own: give the role to one of them, or set autoscaling.enabled=false on one" . $pool.name $role) }}
{{- end -}}
{{- $_ := set $readers $role $pool.name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
