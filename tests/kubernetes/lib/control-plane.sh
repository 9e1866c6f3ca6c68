# The control plane: programs of this machine, each on a port of its own.

# The API server comes first: the others give up, or wait long before they ask again.
start_control_plane() {
    local component
    for component in etcd kube-apiserver; do
        launch "$component"
        wait_ready "$component"
    done
    kube apply -f "$here/flow-schema.yaml" >/dev/null
    [ "$mode" = full ] || return 0
    launch kube-controller-manager
    launch kube-scheduler
}

healthy() {
    [ "$(curl -sk --max-time 2 "$1")" = ok ]
}

arguments_etcd() {
    local client="http://127.0.0.1:$port_etcd" peer="http://127.0.0.1:$port_etcd_peer"
    arguments=("$bin/etcd" --name test --data-dir "$folder/data/etcd" --unsafe-no-fsync
        --listen-client-urls "$client" --advertise-client-urls "$client"
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "test=$peer")
}

ready_etcd() {
    [[ "$(curl -s --max-time 2 "http://127.0.0.1:$port_etcd/health")" = *'"health":"true"'* ]]
}

arguments_kube_apiserver() {
    local pki="$folder/pki"
    arguments=("$bin/kube-apiserver"
        --etcd-servers "http://127.0.0.1:$port_etcd"
        --bind-address "$address" --secure-port "$port_kube_apiserver"
        --cert-dir "$folder/data/kube-apiserver"
        --tls-cert-file "$pki/kube-apiserver.crt" --tls-private-key-file "$pki/kube-apiserver.key"
        --client-ca-file "$pki/ca.crt" --token-auth-file "$pki/tokens.csv"
        --authorization-mode "Node,RBAC" --enable-admission-plugins NodeRestriction
        --service-account-issuer https://kubernetes.default.svc
        --service-account-key-file "$pki/service-account.pub"
        --service-account-signing-key-file "$pki/service-account.key"
        --service-cluster-ip-range "$services"
        --allow-privileged)
    if [ "$mode" = full ]; then
        arguments+=(--advertise-address "$address"
            --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key"
            --kubelet-preferred-address-types InternalIP)
    else
        # Nobody looks for the Service of an API server that listens on loopback.
        arguments+=(--endpoint-reconciler-type none)
    fi
}

ready_kube_apiserver() {
    healthy "https://$address:$port_kube_apiserver/readyz"
}

arguments_kube_controller_manager() {
    local pki="$folder/pki"
    arguments=("$bin/kube-controller-manager" --kubeconfig "$folder/kubeconfigs/kube-controller-manager"
        --bind-address 127.0.0.1 --secure-port "$port_kube_controller_manager"
        --cert-dir "$folder/data/kube-controller-manager"
        --leader-elect=false --use-service-account-credentials
        --service-account-private-key-file "$pki/service-account.key" --root-ca-file "$pki/ca.crt"
        --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key")
}

# It answers before it has its controllers, and ends when the API server fails it until then.
ready_kube_controller_manager() {
    [[ "$(curl -sk --max-time 2 "https://127.0.0.1:$port_kube_controller_manager/healthz?verbose")" = *"[+]job-controller ok"* ]]
}

arguments_kube_scheduler() {
    arguments=("$bin/kube-scheduler" --kubeconfig "$folder/kubeconfigs/kube-scheduler"
        --bind-address 127.0.0.1 --secure-port "$port_kube_scheduler" --cert-dir "$folder/data/kube-scheduler"
        --leader-elect=false)
}

ready_kube_scheduler() {
    healthy "https://127.0.0.1:$port_kube_scheduler/readyz"
}
