#!/usr/bin/env python3
"""Writes embedded/src/schema/lists.txt: how lists and maps of built-in types merge, and which words
a field may hold.

Usage: tests/kubernetes/lists.py > embedded/src/schema/lists.txt
with KUBECONFIG naming a Kubernetes of the version whose types k8s-openapi has (for one,
`tests/kubernetes/cluster.sh up FOLDER --api-only`), and kubectl on PATH.

One line per type: its name; below it, indented, one per field. Facts are `name=value`:
list, keys, map: x-kubernetes-list-type, -list-map-keys, -map-type; patch, by:
x-kubernetes-patch-strategy, -patch-merge-key; struct: the field is there even when it is empty;
default: what a key of a list counts as when it is left out; enum: the words that a field may hold.
"""

import json
import subprocess

EXTENSION = "x-kubernetes-"
FACTS = {
    "list-type": "list",
    "list-map-keys": "keys",
    "map-type": "map",
    "patch-strategy": "patch",
    "patch-merge-key": "by",
}


def get(path):
    return json.loads(subprocess.check_output(["kubectl", "get", "--raw", path]))


def schemas():
    found = {}
    for path in get("/openapi/v3")["paths"]:
        if path == "api/v1" or path.count("/") == 2:
            found.update(get("/openapi/v3/" + path)["components"].get("schemas", {}))
    return found


def extensions(schema):
    for name, short in FACTS.items():
        value = schema.get(EXTENSION + name)
        if value is not None:
            # A shape that says what holds anyway.
            if (short, value) == ("map", "granular") and "$ref" not in str(schema):
                continue
            yield f"{short}={','.join(value) if isinstance(value, list) else value}"


def item_type(schema):
    items = schema.get("items", {})
    return items.get("allOf", [items])[0].get("$ref", "").rsplit("/", 1)[-1]


def keys(all_schemas):
    """The fields that are keys of lists, as (type, field)."""
    for schema in all_schemas.values():
        for property in schema.get("properties", {}).values():
            for key in property.get(EXTENSION + "list-map-keys", []):
                yield item_type(property), key


def field_facts(name, property, is_key):
    yield from extensions(property)
    default = property.get("default")
    if default == {}:
        yield "struct"
    elif default is not None and is_key:
        yield f"default={json.dumps(default)}"
    if all(property.get("enum", [""])):
        yield f"enum={','.join(property['enum'])}"


def main():
    found = schemas()
    key_fields = set(keys(found))
    for name, schema in sorted(found.items()):
        if name.endswith("List") or "apiregistration" in name:
            continue
        own = list(extensions(schema))
        lines = []
        for field, property in sorted(schema.get("properties", {}).items()):
            facts = list(field_facts(name, property, (name, field) in key_fields))
            if facts:
                lines.append(" ".join([" ", field, *facts]))
        if own or lines:
            print(" ".join([name, *own]))
            print("".join(line + "\n" for line in lines), end="")


if __name__ == "__main__":
    main()
