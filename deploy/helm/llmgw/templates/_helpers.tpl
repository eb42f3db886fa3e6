{{- define "llmgw.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "llmgw.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "llmgw.labels" -}}
{{ include "llmgw.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "llmgw.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "llmgw.serviceAccount" -}}
{{- default (include "llmgw.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Whole seconds before running requests are ended: stop_delay_s and drain_timeout_s of the config, each rounded up. */}}
{{- define "llmgw.drain" -}}
{{- $delay := regexFind "(?m)^[ \\t]*stop_delay_s[ \\t]*=[ \\t]*[0-9_.]+" .Values.config | default "0" -}}
{{- $drain := regexFind "(?m)^[ \\t]*drain_timeout_s[ \\t]*=[ \\t]*[0-9_.]+" .Values.config | default "30" -}}
{{- $total := 0 -}}
{{- range list $delay $drain -}}
{{- $total = add $total (regexFind "[0-9_.]+$" . | replace "_" "" | float64 | ceil | int) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* terminationGracePeriodSeconds; a value that would cut requests off is an error. */}}
{{- define "llmgw.grace" -}}
{{- $least := add .Values.preStopSeconds (include "llmgw.drain" . | int) 5 | int -}}
{{- $given := int .Values.terminationGracePeriodSeconds -}}
{{- if eq $given 0 -}}
{{- add $least 10 -}}
{{- else if le $given $least -}}
{{- fail (printf "terminationGracePeriodSeconds must be more than %d: preStopSeconds, stop_delay_s and drain_timeout_s of the config, and 5" $least) -}}
{{- else -}}
{{- $given -}}
{{- end -}}
{{- end -}}

{{/* One pod alone may use a SQLite file. */}}
{{- define "llmgw.checked" -}}
{{- $table := regexFind "(?ms)^[ \\t]*\\[store\\].*?(\\n[ \\t]*\\[|\\z)" .Values.config -}}
{{- $store := regexFind "(?m)^[ \\t]*url[ \\t]*=[ \\t]*[\"'](file|env|postgresql\\+psycopg):" $table -}}
{{- $several := or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled -}}
{{- if and $several (not $store) -}}
{{- fail "several gateways can't share a SQLite file: set replicas to 1 (and autoscaling off), or give store.url of the config a PostgreSQL" -}}
{{- end -}}
{{- end -}}
