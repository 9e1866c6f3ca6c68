"""What users of the official client do, against the cluster of $KUBECONFIG."""

import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.stream import stream

from checks import IMAGE, check, definition, refused, until

NAMESPACE = "clients-official"
config.load_kube_config()
core = client.CoreV1Api()
api = client.ApiClient()


def config_map(name, data, **metadata):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, **metadata), data=data)


def typed(content_type):
    """An API of which each request says that its body is of this type."""
    told = client.ApiClient()
    told.set_default_header("Content-Type", content_type)
    return client.CoreV1Api(told)


def objects():
    made = core.create_namespaced_config_map(NAMESPACE, config_map("a", {"x": "1"}, labels={"l": "v"}))
    check(made.metadata.uid and made.metadata.creation_timestamp, "create gives an identity")
    check(core.read_namespaced_config_map("a", NAMESPACE).data == {"x": "1"}, "read")
    refused(409, lambda: core.create_namespaced_config_map(NAMESPACE, config_map("a", {})), "create twice")
    stale = core.read_namespaced_config_map("a", NAMESPACE)
    made.data["x"] = "2"
    core.replace_namespaced_config_map("a", NAMESPACE, made)
    refused(409, lambda: core.replace_namespaced_config_map("a", NAMESPACE, stale), "replace an old version")
    listed = core.list_namespaced_config_map(NAMESPACE, label_selector="l=v")
    check([item.metadata.name for item in listed.items] == ["a"], "list by labels")
    refused(404, lambda: core.read_namespaced_config_map("nobody", NAMESPACE), "read what is not there")
    refused(422, lambda: core.create_namespaced_config_map(NAMESPACE, config_map("A_b", {})), "a bad name")


def patches():
    """The client guesses a patch's type by its form, unless a header says it."""
    patch = core.patch_namespaced_config_map
    check(patch("a", NAMESPACE, {"data": {"y": "3"}}).data == {"x": "2", "y": "3"}, "a dictionary as a patch")
    check(patch("a", NAMESPACE, [{"op": "remove", "path": "/data/y"}]).data == {"x": "2"}, "a list as a patch")
    for kind in ["merge-patch", "strategic-merge-patch"]:
        told = typed(f"application/{kind}+json").patch_namespaced_config_map
        patched = told("a", NAMESPACE, {"data": {"z": kind}})
        check(patched.data == {"x": "2", "z": kind}, f"a {kind}")

    def apply(manager, data, **options):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}
        told = typed("application/apply-patch+yaml").patch_namespaced_config_map
        return told("applied", NAMESPACE, body, field_manager=manager, **options)

    created = apply("one", {"k": "1"})
    check(created.metadata.managed_fields[0].manager == "one", "server-side apply creates")
    refused(409, lambda: apply("two", {"k": "2"}), "a field of another manager")
    check(apply("two", {"k": "2"}, force=True).data == {"k": "2"}, "force takes it")
    check(not apply("two", {}).data, "what is no longer applied goes")


def watches():
    version = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, config_map("seen", {"a": "1"}))
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"a": "2"}})
    core.delete_namespaced_config_map("seen", NAMESPACE)
    events = watch.Watch().stream(
        core.list_namespaced_config_map,
        NAMESPACE,
        resource_version=version,
        field_selector="metadata.name=seen",
        timeout_seconds=60,
    )
    seen = []
    for event in events:
        seen.append((event["type"], event["object"].data["a"]))
        if event["type"] == "DELETED":
            break
    check(seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], f"a watch from a version: {seen}")
    every = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=1)
    check("a" in [event["object"].metadata.name for event in every], "a watch from the beginning, and its end")
    first = core.list_namespaced_config_map(NAMESPACE, limit=1)
    rest = core.list_namespaced_config_map(NAMESPACE, limit=100, _continue=first.metadata._continue)
    check(len(first.items) == 1 and rest.items, "pages")


def pods():
    main = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "echo begun; exec sleep 600"]}
    body = {"metadata": {"name": "box"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [main]}}
    core.create_namespaced_pod(NAMESPACE, body)
    until(lambda: core.read_namespaced_pod("box", NAMESPACE).status.phase == "Running", "a pod runs")
    until(lambda: core.read_namespaced_pod_log("box", NAMESPACE) == "begun\n", "its log")
    get = core.connect_get_namespaced_pod_exec
    both = ["sh", "-c", "echo out; echo err >&2"]
    said = stream(get, "box", NAMESPACE, command=both, stdout=True, stderr=True)
    check(sorted(said.split()) == ["err", "out"], "exec gives what was said")
    streams = {"stdin": True, "stdout": True, "stderr": True, "tty": False}
    shell = stream(get, "box", NAMESPACE, command=["sh"], _preload_content=False, **streams)
    shell.write_stdin("echo typed\n")
    check(shell.readline_stdout(timeout=30) == "typed", "exec takes what is typed")
    shell.write_stdin("exit 3\n")
    shell.run_forever(timeout=30)
    check(shell.returncode == 3, "exec gives the exit status")
    core.delete_namespaced_pod("box", NAMESPACE)
    until(lambda: not core.list_namespaced_pod(NAMESPACE).items, "the pod is gone")


def custom_objects():
    extensions = client.ApiextensionsV1Api()
    extensions.create_custom_resource_definition(definition("official.clients.test"))
    custom = client.CustomObjectsApi()
    place = {"group": "official.clients.test", "version": "v1", "plural": "cups", "namespace": NAMESPACE}

    def served():
        try:
            return custom.list_namespaced_custom_object(**place)["items"] == []
        except ApiException as error:
            if error.status != 404:
                raise
            return False

    until(served, "a new kind is served")
    cup = {"apiVersion": "official.clients.test/v1", "kind": "Cup", "metadata": {"name": "tea"}, "spec": {"size": 2}}
    custom.create_namespaced_custom_object(body=cup, **place)
    one = place | {"name": "tea"}
    bad = cup | {"metadata": {"name": "bad"}, "spec": {"size": "two"}}
    refused(422, lambda: custom.create_namespaced_custom_object(body=bad, **place), "what its schema forbids")
    full = custom.patch_namespaced_custom_object_status(body={"status": {"full": True}}, **one)
    check(full["status"] == {"full": True} and full["metadata"]["generation"] == 1, "its status")
    grown = custom.patch_namespaced_custom_object(body={"spec": {"size": 3}}, **one)
    check(grown["spec"]["size"] == 3 and grown["metadata"]["generation"] == 2, "its spec")
    dynamic_client(cup)
    custom.delete_namespaced_custom_object(**one)
    refused(404, lambda: custom.get_namespaced_custom_object(**one), "what is gone")
    extensions.delete_custom_resource_definition("cups.official.clients.test")


def dynamic_client(cup):
    found = dynamic.DynamicClient(api)
    cups = found.resources.get(api_version="official.clients.test/v1", kind="Cup")
    check(cups.namespaced and "patch" in cups.verbs, "discovery knows the new kind")
    check([item.metadata.name for item in cups.get(namespace=NAMESPACE).items] == ["tea"], "and lists it")
    options = {"namespace": NAMESPACE, "field_manager": "dynamic", "force_conflicts": True}
    applied = cups.server_side_apply(body=cup | {"spec": {"size": 9}}, **options)
    check(applied.spec.size == 9, "and applies it")
    deployments = found.resources.get(api_version="apps/v1", kind="Deployment")
    check("scale" in deployments.subresources, "discovery knows subresources")
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    try:
        maps.create(body={"metadata": {"name": "a"}}, namespace=NAMESPACE)
        check(False, "a conflict is an error")
    except ConflictError:
        check(True, "a conflict is an error")
    try:
        maps.get(name="nobody", namespace=NAMESPACE)
        check(False, "what is not there is not found")
    except NotFoundError:
        check(True, "what is not there is not found")


def election():
    """Two candidates; the client's own lock is an annotation of a ConfigMap."""
    led = []

    def candidate(name):
        leads = threading.Event()

        def lead():
            led.append(name)
            leads.set()

        settings = electionconfig.Config(
            ConfigMapLock("seat", NAMESPACE, name),
            lease_duration=17,
            renew_deadline=15,
            retry_period=1,
            onstarted_leading=lead,
            onstopped_leading=None,
        )
        threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True).start()
        return leads

    check(candidate("first").wait(60), "a candidate leads")
    candidate("second")
    locks = set()

    def renewed():
        seat = core.read_namespaced_config_map("seat", NAMESPACE)
        locks.add(seat.metadata.annotations["control-plane.alpha.kubernetes.io/leader"])
        return len(locks) > 2

    until(renewed, "it renews its lock")
    check(led == ["first"], "the other one waits")


core.create_namespace({"metadata": {"name": NAMESPACE}})
until(lambda: core.list_namespaced_service_account(NAMESPACE).items, "a namespace has a service account")
for part in [objects, patches, watches, pods, custom_objects, election]:
    part()
core.delete_namespace(NAMESPACE)
print("all checks passed")
