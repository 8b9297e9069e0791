{{- define "operator.podTemplate" -}}
metadata:
  labels:
    {{- include "operator.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "operator.serviceAccountName" . }}
  enableServiceLinks: false
  # Time to release the lease.
  terminationGracePeriodSeconds: 15
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    # The user and group of the image are given by their numbers there; OpenShift gives its own.
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: operator
      image: {{ include "operator.image" (dict "image" .Values.image "appVersion" .Chart.AppVersion) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      env:
        - name: POSTFLEET_OPERATOR_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        - name: POSTFLEET_OPERATOR_IDENTITY
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POSTFLEET_OPERATOR_WATCH_NAMESPACES
          value: {{ ternary "*" (include "operator.namespaces" .) (has "*" .Values.watchNamespaces) | quote }}
        - name: POSTFLEET_OPERATOR_IMAGE
          value: {{ include "operator.image" (dict "image" .Values.serviceImage "appVersion" .Chart.AppVersion) | quote }}
        - name: POSTFLEET_OPERATOR_IMAGE_PULL_POLICY
          value: {{ .Values.serviceImage.pullPolicy | quote }}
        - name: POSTFLEET_OPERATOR_CLUSTER_DOMAIN
          value: {{ .Values.clusterDomain | quote }}
        - name: POSTFLEET_OPERATOR_CLUSTER_NETWORKS
          value: {{ join "," .Values.clusterNetworks | quote }}
        - name: POSTFLEET_OPERATOR_LEADER_ELECTION
          value: {{ ternary "yes" "no" .Values.leaderElection | quote }}
        - name: POSTFLEET_OPERATOR_RESYNC
          value: {{ .Values.resync | quote }}
        - name: POSTFLEET_OPERATOR_LOG_FORMAT
          value: {{ .Values.logFormat | quote }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: 8080
      startupProbe:
        httpGet:
          path: /livez
          port: http
        periodSeconds: 1
        timeoutSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet:
          path: /livez
          port: http
        periodSeconds: 10
        timeoutSeconds: 10
        failureThreshold: 3
      readinessProbe:
        httpGet:
          path: /readyz
          port: http
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- with .Values.extraVolumeMounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with .Values.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  {{- $selector := dict "matchLabels" (include "operator.selectorLabels" . | fromYaml) }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    - {{- toYaml (merge (deepCopy .) (dict "labelSelector" $selector)) | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end }}
