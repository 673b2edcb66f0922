{{- define "bp.name" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "bp.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bp.labels" -}}
{{ include "bp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "bp.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Every stage but the first remembers something. */}}
{{- define "bp.stateful" -}}
{{- ne . "ingest" -}}
{{- end }}

{{/* What a pod may: nothing. */}}
{{- define "bp.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "bp.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Settings that name the same thing in several objects; the rest is in the ConfigMap. */}}
{{- define "bp.env" -}}
- {name: BROKER_PLUGIN_CONFIG, value: /etc/broker-plugin/config.toml}
- {name: BROKER_PLUGIN_PREFIX, value: {{ .Values.prefix | quote }}}
- {name: BROKER_PLUGIN_TOPICS__PARTITIONS, value: {{ .Values.partitions | quote }}}
- {name: BROKER_PLUGIN_KAFKA__BOOTSTRAP, value: {{ .Values.kafka.bootstrap | quote }}}
{{- range .Values.secretVariables }}
- {name: {{ .variable }}_FILE, value: /run/secrets/broker-plugin/{{ .variable }}}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "bp.mounts" -}}
- {name: config, mountPath: /etc/broker-plugin, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.secretVariables }}
- {name: secret-variables, mountPath: /run/secrets/broker-plugin, readOnly: true}
{{- end }}
{{- range $i, $mount := .Values.secretMounts }}
- {name: secret-{{ $i }}, mountPath: {{ $mount.path }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "bp.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 256Mi}}
{{- if .Values.secretVariables }}
- name: secret-variables
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.secretVariables }}
      - secret:
          name: {{ .secret }}
          items: [{key: {{ .key | quote }}, path: {{ .variable }}}]
      {{- end }}
{{- end }}
{{- range $i, $mount := .Values.secretMounts }}
- {name: secret-{{ $i }}, secret: {secretName: {{ $mount.secret }}, defaultMode: 0440}}
{{- end }}
{{- end }}

{{/* More workers than partitions: the surplus has nothing to do, is never ready, and holds up every roll-out. */}}
{{- define "bp.check" -}}
{{- range $stage, $s := .Values.stages }}
{{- $most := ternary $s.replicas $s.autoscaling.maxReplicas (eq $s.autoscaling.kind "none") }}
{{- if and $s.enabled (ne $stage "ingest") (gt (int $most) (int $.Values.partitions)) }}
{{- fail (printf "stages.%s: up to %d workers for %d partitions; the surplus would be idle and never ready" $stage (int $most) (int $.Values.partitions)) }}
{{- end }}
{{- end }}
{{- end }}
