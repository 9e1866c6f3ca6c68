# The names of Services: CoreDNS on the node, behind the Service that pods ask.

# By custom the tenth address of the Services' range.
dns_address() {
    echo "${services%.*}.10"
}

write_dns_configuration() {
    cat >"$folder/etc/Corefile" <<EOF
.:53 {
    errors
    ready 127.0.0.1:8181
    # Short, so that a Service made just now is not missing for long.
    cache 1
    kubernetes cluster.local {
        kubeconfig $folder/kubeconfigs/coredns
    }
}
EOF
}

publish_dns() {
    kube apply -f - >/dev/null <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: system:coredns}
rules:
  - {apiGroups: [""], resources: [services, namespaces, pods], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: system:coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $(dns_address)
  ports:
    - {name: dns, port: 53, protocol: UDP}
    - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns
  namespace: kube-system
  labels: {kubernetes.io/service-name: kube-dns}
addressType: IPv4
endpoints: [{addresses: [$node_address], conditions: {ready: true}}]
ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
EOF
}

arguments_coredns() {
    arguments=("$bin/coredns" -conf "$folder/etc/Corefile")
}

ready_coredns() {
    on_node curl -sf --max-time 2 http://127.0.0.1:8181/ready
}
