"""What users of lightkube do, against the cluster of $KUBECONFIG."""

import asyncio

from lightkube import ApiError, AsyncClient, Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, ServiceAccount
from lightkube.types import PatchType

from checks import IMAGE, check, definition, refused, until

NAMESPACE = "clients-lightkube"


def config_map(name, data=None, labels=None):
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, labels=labels)
    return ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=metadata, data=data)


def objects(client):
    client.create(config_map("a", {"x": "1"}, {"l": "v"}))
    refused(409, lambda: client.create(config_map("a")), "create twice")
    patch = client.patch(ConfigMap, "a", {"data": {"y": "2"}}, patch_type=PatchType.MERGE)
    check(patch.data == {"x": "1", "y": "2"}, "a merge patch")
    body = [{"op": "remove", "path": "/data/y"}]
    check(client.patch(ConfigMap, "a", body, patch_type=PatchType.JSON).data == {"x": "1"}, "a JSON patch")
    body = {"metadata": {"labels": {"m": "w"}}}
    patch = client.patch(ConfigMap, "a", body, patch_type=PatchType.STRATEGIC)
    check(patch.metadata.labels == {"l": "v", "m": "w"}, "a strategic merge patch")
    names = [item.metadata.name for item in client.list(ConfigMap, labels={"l": ["v", "z"]})]
    check(names == ["a"], "list by labels")
    names = [item.metadata.name for item in client.list(ConfigMap, fields={"metadata.name": "a"}, chunk_size=1)]
    check(names == ["a"], "list by fields, in pages")
    current = client.get(ConfigMap, "a")
    current.data = {"x": "3"}
    check(client.replace(current).data == {"x": "3"}, "replace")


def applies(client):
    one = client.apply(config_map("applied", {"k": "1"}), field_manager="one")
    check(one.metadata.managedFields[0].manager == "one", "apply creates")
    refused(409, lambda: client.apply(config_map("applied", {"k": "2"}), field_manager="two"), "a field of another")
    forced = client.apply(config_map("applied", {"k": "2"}), field_manager="two", force=True)
    check(forced.data == {"k": "2"}, "force takes it")
    check(not client.apply(config_map("applied"), field_manager="two").data, "what is no longer applied goes")


def watches(client):
    version = client.get(ConfigMap, "a").metadata.resourceVersion
    client.create(config_map("seen", {"a": "1"}, {"w": "w"}))
    client.patch(ConfigMap, "seen", {"data": {"a": "2"}})
    client.delete(ConfigMap, "seen")
    seen = []
    for event, item in client.watch(ConfigMap, labels={"w": "w"}, resource_version=version, server_timeout=60):
        seen.append((event, item.data["a"]))
        if event == "DELETED":
            break
    check(seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], f"a watch from a version: {seen}")


def workloads(client):
    main = Container(name="main", image=IMAGE, command=["sh", "-c", "echo begun; exec sleep 600"])
    spec = PodSpec(containers=[main], terminationGracePeriodSeconds=0)
    client.create(Pod(metadata=ObjectMeta(name="box", namespace=NAMESPACE), spec=spec))
    client.wait(Pod, "box", for_conditions=["Ready"])
    until(lambda: list(client.log("box")) == ["begun\n"], "the log of a pod that is ready")
    client.delete(Pod, "box")
    until(lambda: not list(client.list(Pod)), "the pod is gone")
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec.to_dict()}
    deployment = Deployment.from_dict(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }
    )
    client.apply(deployment, field_manager="one")
    client.wait(Deployment, "web", for_conditions=["Available"])
    scale = client.get(Deployment.Scale, "web")
    scale.spec.replicas = 2
    client.replace(scale, "web")
    until(lambda: client.get(Deployment, "web").status.readyReplicas == 2, "a deployment is scaled")
    client.delete(Deployment, "web")


def custom_objects(client):
    client.create(CustomResourceDefinition.from_dict(definition("lightkube.clients.test")))
    client.wait(CustomResourceDefinition, "cups.lightkube.clients.test", for_conditions=["Established"])
    cups = create_namespaced_resource("lightkube.clients.test", "v1", "Cup", "cups")

    def made():
        try:
            client.create(cups(metadata=ObjectMeta(name="tea", namespace=NAMESPACE), spec={"size": 2}))
        except ApiError as error:
            if error.status.code != 404:
                raise
            return False
        return True

    until(made, "an object of a new kind")
    full = client.patch(cups.Status, "tea", {"status": {"full": True}}, patch_type=PatchType.MERGE)
    check(full.status == {"full": True} and full.metadata.generation == 1, "its status")
    client.delete(CustomResourceDefinition, "cups.lightkube.clients.test")


async def asynchronous():
    client = AsyncClient(namespace=NAMESPACE)
    await client.apply(config_map("later", {"x": "1"}), field_manager="async")
    names = [item.metadata.name async for item in client.list(ConfigMap)]
    check("later" in names, "an asynchronous list")
    async for event, item in client.watch(ConfigMap, fields={"metadata.name": "later"}, server_timeout=60):
        check((event, item.metadata.name) == ("ADDED", "later"), "an asynchronous watch")
        break
    await client.delete(ConfigMap, "later")
    await client.close()


client = Client(namespace=NAMESPACE)
client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
until(lambda: list(client.list(ServiceAccount)), "a namespace has a service account")
for part in [objects, applies, watches, workloads, custom_objects]:
    part(client)
asyncio.run(asynchronous())
client.delete(Namespace, NAMESPACE)
print("all checks passed")
