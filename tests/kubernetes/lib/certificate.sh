# Who is who: an authority of the cluster's own, tokens of its users, and their kubeconfigs.

# users: name, user, groups. The components go by the names that RBAC's default roles are bound to.
USERS=(
    "admin|admin|system:masters"
    "alice|alice|tenants"
    "bob|bob|tenants"
    "kwok|kwok|system:masters"
    "kube-controller-manager|system:kube-controller-manager|"
    "kube-scheduler|system:kube-scheduler|"
    "coredns|system:coredns|"
    "kube-proxy|system:kube-proxy|"
    "kubelet|system:node:node|system:nodes"
)

create_certificates() {
    local pki="$folder/pki"
    {
        openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca.key"
        openssl req -x509 -new -key "$pki/ca.key" -days 30 -subj /CN=diwan-test-ca -out "$pki/ca.crt" \
            -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
        certificate kube-apiserver /CN=kube-apiserver serverAuth \
            "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:$address,IP:${services%.*}.1"
        certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
        # It signs and checks the tokens of service accounts.
        openssl genrsa -out "$pki/service-account.key" 2048
        openssl rsa -in "$pki/service-account.key" -pubout -out "$pki/service-account.pub"
    } 2>"$folder/logs/openssl.log" || die "openssl: $(tail -n 3 "$folder/logs/openssl.log")"

    local row name user groups token
    for row in "${USERS[@]}"; do
        IFS='|' read -r name user groups <<<"$row"
        token="$(openssl rand -hex 16)"
        echo "$token,$user,$name,\"$groups\"" >>"$pki/tokens.csv"
        write_kubeconfig "$name" "$token" "$folder/kubeconfigs/$name"
    done
    cp "$folder/kubeconfigs/admin" "$folder/kubeconfig"
}

# certificate NAME SUBJECT USAGE [ALTERNATIVE-NAMES]
certificate() {
    local pki="$folder/pki" name="$1" subject="$2" usage="$3" names="${4:-}"
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$name.key"
    openssl req -new -key "$pki/$name.key" -subj "$subject" -out "$pki/$name.csr"
    openssl x509 -req -in "$pki/$name.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 30 \
        -out "$pki/$name.crt" -extfile <(
            echo "basicConstraints=critical,CA:FALSE"
            echo "extendedKeyUsage=$usage"
            [ -z "$names" ] || echo "subjectAltName=$names"
        )
}

# write_kubeconfig USER TOKEN FILE
write_kubeconfig() {
    cat >"$3" <<EOF
apiVersion: v1
kind: Config
clusters:
  - name: diwan-test
    cluster:
      server: https://$address:$port_kube_apiserver
      certificate-authority-data: $(base64 -w0 "$folder/pki/ca.crt")
users:
  - name: $1
    user:
      token: $2
contexts:
  - name: diwan-test
    context: {cluster: diwan-test, user: $1}
current-context: diwan-test
EOF
    chmod 600 "$3"
}

kube() {
    kubectl --kubeconfig "$folder/kubeconfig" "$@"
}
