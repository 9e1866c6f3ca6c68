"""What the programs of all Python clients share."""

import os
import time

# Where programs run as local processes, nobody looks for it.
IMAGE = os.environ.get("CLIENTS_IMAGE", "diwan.test/busybox:1")


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"ok: {what}", flush=True)


def refused(status, call, what):
    """The call has to end with this HTTP status."""
    try:
        call()
    except Exception as error:  # each client has classes of its own
        found = getattr(error, "status", None)
        if not isinstance(found, int):
            response = getattr(error, "response", None)
            found = getattr(response, "status_code", None)
        check(found == status, f"{what} is refused with {status}" + ("" if found == status else f": {error}"))
    else:
        check(False, f"{what} is refused with {status}")


def until(condition, what):
    """Waits until the condition holds; the deadline ends a program that would hang, it measures nothing."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            print(f"ok: {what}", flush=True)
            return
        time.sleep(0.05)
    raise SystemExit(f"waited in vain: {what}")


def definition(group):
    """A kind of the program's own: cups, which have a size and may be full."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
            "status": {"type": "object", "properties": {"full": {"type": "boolean"}}},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"cups.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Cup", "plural": "cups", "singular": "cup"},
            "versions": [version],
        },
    }
