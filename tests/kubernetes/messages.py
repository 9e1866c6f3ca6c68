#!/usr/bin/env python3
"""Writes embedded/src/rest/protobuf_messages.txt: the messages in which typed clients send objects.

Usage: tests/kubernetes/messages.py API APIMACHINERY > embedded/src/rest/protobuf_messages.txt
with the folders of the Go modules k8s.io/api and k8s.io/apimachinery.

One line per message: its name, then NUMBER:FIELD:TYPE for each field, named as in JSON; a field
whose parts stand in the object around it has no name. `[]` is a list, `{}` a map from texts.
"""

import pathlib
import re
import sys

GROUPS = """apps authentication authorization autoscaling batch coordination core discovery events policy
    rbac scheduling storage""".split()
KINDS = """apps.v1.ControllerRevision apps.v1.Deployment apps.v1.ReplicaSet apps.v1.StatefulSet
    authentication.v1.SelfSubjectReview authentication.v1.TokenRequest authentication.v1.TokenReview
    authorization.v1.LocalSubjectAccessReview authorization.v1.SelfSubjectAccessReview
    authorization.v1.SelfSubjectRulesReview authorization.v1.SubjectAccessReview autoscaling.v1.Scale
    batch.v1.CronJob batch.v1.Job coordination.v1.Lease core.v1.ConfigMap core.v1.Endpoints
    core.v1.Event core.v1.LimitRange core.v1.Namespace core.v1.Node core.v1.PersistentVolume
    core.v1.PersistentVolumeClaim core.v1.Pod core.v1.ResourceQuota core.v1.Secret core.v1.Service
    core.v1.ServiceAccount discovery.v1.EndpointSlice events.v1.Event meta.v1.DeleteOptions
    policy.v1.Eviction rbac.v1.ClusterRole rbac.v1.ClusterRoleBinding rbac.v1.Role
    rbac.v1.RoleBinding scheduling.v1.PriorityClass storage.v1.StorageClass""".split()
SCALARS = {"bool", "bytes", "int32", "int64", "string"}
SPECIAL = {
    "intstr.IntOrString": "intorstring",
    "meta.v1.FieldsV1": "json",
    "meta.v1.MicroTime": "microtime",
    "meta.v1.Time": "time",
    "resource.Quantity": "quantity",
    "runtime.RawExtension": "json",
}
# A list that is written as a message: what else a user is.
LEFT_OUT = {"authentication.v1.ExtraValue", "authorization.v1.ExtraValue"}


def json_names(go):
    """The names of fields in JSON, by type and number; empty for what stands in the object around it."""
    names, type_ = {}, None
    for line in go.splitlines():
        if start := re.match(r"type (\w+) struct", line):
            type_ = start[1]
        if field := re.search(r'`json:"([^",]*)[^`]*protobuf:"\w+,(\d+)', line):
            names[type_, int(field[2])] = field[1]
    return names


def type_of(text, package):
    if text in SCALARS:
        return text
    parts = text.lstrip(".").split(".")
    if len(parts) == 1:
        parts = [package, "v1", text]
    name = ".".join(parts[-3:] if parts[-2] == "v1" else parts[-2:])
    return SPECIAL.get(name, name)


def read(folder, package):
    proto = re.sub(r"//.*", "", (folder / "generated.proto").read_text())
    names = json_names((folder / "types.go").read_text())
    field = r"(repeated)?\s+(?:map<string,\s*([\w.]+)>|([\w.]+))\s+(\w+)\s*=\s*(\d+);"
    for message in re.finditer(r"message (\w+) \{(.*?)\n\}", proto, re.S):
        fields = []
        for repeated, value, one, name, number in re.findall(field, message[2]):
            type_ = type_of(value or one, package)
            mark = "{}" if value else "[]" if repeated else ""
            name = names.get((message[1], int(number)), name)
            if type_ not in LEFT_OUT:
                fields.append((int(number), name, mark + type_))
        yield f"{package}.v1.{message[1]}", sorted(fields)


def main(api, machinery):
    messages = dict(read(pathlib.Path(machinery, "pkg/apis/meta/v1"), "meta"))
    for group in GROUPS:
        messages.update(read(pathlib.Path(api, group, "v1"), group))
    reached, ahead = set(), list(KINDS)
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            parts = (type_.lstrip("[]{}") for _, _, type_ in messages[name])
            ahead.extend(part for part in parts if "." in part)
    for name in sorted(reached):
        print(name, *(f"{number}:{field}:{type_}" for number, field, type_ in messages[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
