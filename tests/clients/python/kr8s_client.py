"""What users of kr8s do, against the cluster of $KUBECONFIG."""

import asyncio

import kr8s
from kr8s.asyncio.objects import ConfigMap as AsyncConfigMap
from kr8s.objects import ConfigMap, CustomResourceDefinition, Namespace, Pod, new_class

from checks import IMAGE, check, definition, refused, until

NAMESPACE = "clients-kr8s"


def objects(api):
    flower = ConfigMap({"metadata": {"name": "flower", "labels": {"in": "garden"}}, "data": {"rose": "red"}}, NAMESPACE)
    flower.create()
    check(flower.exists(), "create")
    flower.patch({"data": {"rose": "white"}})
    check(ConfigMap.get("flower", NAMESPACE).data.rose == "white", "patch and get")
    flower.patch([{"op": "add", "path": "/data/tulip", "value": "black"}], type="json")
    check(dict(flower.data) == {"rose": "white", "tulip": "black"}, "a JSON patch")
    flower.label(seen="yes")
    flower.annotate({"note": "by kr8s"})
    found = list(api.get("configmaps", namespace=NAMESPACE, label_selector={"seen": "yes"}))
    check([item.name for item in found] == ["flower"], "list by labels")
    found = list(kr8s.get("cm", "flower", namespace=NAMESPACE))
    check(found[0].annotations["note"] == "by kr8s", "kinds by their short names")
    double = ConfigMap({"metadata": {"name": "flower"}}, NAMESPACE)
    refused(409, double.create, "create twice")
    flower.delete()
    until(lambda: not flower.exists(), "delete")


def pods():
    main = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "echo one; echo two; sleep 600"]}
    pod = Pod(
        {"metadata": {"name": "box"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [main]}}, NAMESPACE
    )
    pod.create()
    pod.wait("condition=Ready", timeout=60)
    check(pod.ready(), "wait until a pod is ready")
    lines = pod.logs(follow=True)
    check([next(lines), next(lines)] == ["one", "two"], "follow its log")
    said = pod.exec(["echo", "inside"])
    check(said.stdout == b"inside\n" and said.returncode == 0, "exec")
    pod.delete()
    pod.wait("delete", timeout=60)
    check(not pod.exists(), "wait until it is gone")


def custom_objects():
    kind = CustomResourceDefinition(definition("kr8s.clients.test"))
    kind.create()
    kind.wait("condition=Established", timeout=60)
    cups = new_class(kind="Cup", version="kr8s.clients.test/v1", namespaced=True, plural="cups")
    cup = cups({"metadata": {"name": "tea"}, "spec": {"size": 2}}, NAMESPACE)

    def made():
        try:
            cup.create()
        except kr8s.NotFoundError:
            return False
        return True

    until(made, "an object of a new kind")
    cup.patch({"status": {"full": True}}, subresource="status")
    check(cup.status.full is True and cup.metadata.generation == 1, "its status")
    cup.delete()
    kind.delete()


async def watches():
    api = await kr8s.asyncio.api()
    seen = []

    async def watch():
        async for event, item in api.watch("configmaps", namespace=NAMESPACE, label_selector={"seen": "w"}):
            seen.append((event, item.name))
            if event == "DELETED":
                return

    watching = asyncio.create_task(watch())
    leaf = await AsyncConfigMap({"metadata": {"name": "leaf", "labels": {"seen": "w"}}}, NAMESPACE)
    await leaf.create()
    while not seen:
        await asyncio.sleep(0.05)
    await leaf.patch({"data": {"green": "yes"}})
    await leaf.delete()
    await asyncio.wait_for(watching, 60)
    check([event for event, _ in seen] == ["ADDED", "MODIFIED", "DELETED"], f"an asynchronous watch: {seen}")


api = kr8s.api()
check(int(api.version()["major"]) == 1, "the version of the server")
namespace = Namespace({"metadata": {"name": NAMESPACE}})
namespace.create()
until(lambda: list(api.get("serviceaccounts", namespace=NAMESPACE)), "a namespace has a service account")
objects(api)
pods()
custom_objects()
asyncio.run(watches())
namespace.delete()
print("all checks passed")
