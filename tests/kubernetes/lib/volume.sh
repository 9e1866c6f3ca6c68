# Volumes for claims: folders of the node, made beforehand. A real provisioner would be a program more;
# these are `local` and not `hostPath` volumes, so that a pod's fsGroup counts.

VOLUMES=20

publish_volumes() {
    local n
    {
        cat <<EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
EOF
        for ((n = 0; n < VOLUMES; n++)); do
            mkdir -p -m 777 "$folder/data/volumes/$n"
            cat <<EOF
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-$n}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce, ReadOnlyMany, ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: standard
  local: {path: "$folder/data/volumes/$n"}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node]}]
EOF
        done
    } | kube apply -f - >/dev/null
}
