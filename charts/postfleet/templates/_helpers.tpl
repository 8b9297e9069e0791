{{- define "postfleet.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if or (contains $name .Release.Name) (not .Values.nameOverride) }}
{{- .Release.Name | trunc 30 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 30 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "postfleet.mailServer" -}}
{{- default (include "postfleet.fullname" .) .Values.mailServer.name }}
{{- end }}

{{- define "postfleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: postfleet
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What tells the pods of one store from all others: root and component. */}}
{{- define "postfleet.storeLabels" -}}
app.kubernetes.io/name: postfleet-dev-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "postfleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "postfleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* The volume of a store: its `storage`. */}}
{{- define "postfleet.claim" -}}
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size }}
{{- end }}

{{- /* A password of a Secret that is there already stays, for the store has it on its disk: root, name and key. */}}
{{- define "postfleet.password" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
{{- $data := get $secret "data" | default dict }}
{{- if hasKey $data "password" }}
{{- get $data "password" | b64dec }}
{{- else }}
{{- randAlphaNum 32 }}
{{- end }}
{{- end }}

{{- /* Number of the port that a service of master.cf listens on, as text. */}}
{{- define "postfleet.portOf" -}}
{{- get (dict "smtp" "25" "submission" "587" "submissions" "465" "smtps" "465") (toString .) | default (toString .) }}
{{- end }}

{{- /* smtpd_upstream_proxy_protocol of main.cf: a value that is there, even an empty one, comes before ingress.proxyProtocol. */}}
{{- define "postfleet.proxyProtocol" -}}
{{- $ingress := .Values.ingress | default dict }}
{{- $default := ternary "haproxy" "" (eq (toString (dig "proxyProtocol" false $ingress)) "true") }}
{{- dig "smtpd_upstream_proxy_protocol" $default (.Values.mainCf | default dict) }}
{{- end }}

{{- /* The same of the service that `helm test` reaches, whose entry of master.cf may have its own. */}}
{{- define "postfleet.testProxyProtocol" -}}
{{- $port := toString .Values.test.port }}
{{- $service := $port }}
{{- range dig "ports" list (.Values.ingress | default dict) }}
{{- if eq (toString .port) $port }}
{{- $service = include "postfleet.portOf" .service }}
{{- end }}
{{- end }}
{{- $protocol := include "postfleet.proxyProtocol" . }}
{{- range .Values.masterCf }}
{{- if and (eq .type "inet") (eq (include "postfleet.portOf" .service) $service) }}
{{- $protocol = dig "smtpd_upstream_proxy_protocol" $protocol (.options | default dict) }}
{{- end }}
{{- end }}
{{- $protocol }}
{{- end }}

{{- define "postfleet.testRecipient" -}}
{{- .Values.test.to | default (printf "postmaster@%s" (dig "myhostname" "localhost" .Values.mainCf)) }}
{{- end }}
