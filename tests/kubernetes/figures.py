"""What a trial costs on a cluster, beside Jobs with the same containers that are submitted directly.

    KUBECONFIG=... python figures.py IMAGE [SECONDS,TRIALS...]

IMAGE has a shell. Run it with nothing else going on; ratios of one run can be compared, times of
several can't. All figures are taken from watches, none by polling.
"""

import collections
import json
import os
import pathlib
import re
import statistics
import sys
import threading
import time

from kubernetes import client, config, watch

GROUP, VERSION, NAMESPACE = "kubeflow.org", "v1beta1", "default"
PARALLEL = 3

config.load_kube_config()
objects, jobs, core = client.CustomObjectsApi(), client.BatchV1Api(), client.CoreV1Api()


def uptime():
    """As programs in pods read it: they share the kernel."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def script(seconds):
    return f"sleep {seconds}; read end rest </proc/uptime; echo loss=$0; echo end=$end"


def container(image, seconds):
    # Trials that end at once end at once.
    return {"name": "main", "image": image, "command": ["sh", "-c", script(seconds), "0.5"]}


def experiment(name, image, seconds, trials, retain=False):
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        container(image, seconds) | {"env": [{"name": "X", "value": "${trialParameters.x}"}]}
                    ],
                }
            },
        },
    }
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": {
                "type": "minimize",
                "objectiveMetricName": "loss",
                "additionalMetricNames": ["end"],
            },
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": min(PARALLEL, trials),
            "maxTrialCount": trials,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}
            ],
            "trialTemplate": {
                "retain": retain,
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": job,
            },
        },
    }


def condition(thing, kind):
    found = (thing.get("status") or {}).get("conditions") or []
    return any(c["type"] == kind and c["status"] == "True" for c in found)


def custom(plural, **arguments):
    stream = watch.Watch().stream
    function = objects.list_namespaced_custom_object
    return stream(function, GROUP, VERSION, NAMESPACE, plural, **arguments)


class FirstPod(threading.Thread):
    """When the first pod of an experiment is seen."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.selector = f"katib.kubeflow.org/experiment={name}"
        self.at = None
        self.start()

    def run(self):
        for _ in watch.Watch().stream(
            core.list_namespaced_pod, NAMESPACE, label_selector=self.selector
        ):
            self.at = uptime()
            return


class Ends(threading.Thread):
    """When trials are seen to have succeeded, from the end of their programs on."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.selector = f"katib.kubeflow.org/experiment={name}"
        self.after = {}
        self.start()

    def run(self):
        for event in custom("trials", label_selector=self.selector):
            trial, now = event["object"], uptime()
            name = trial["metadata"]["name"]
            if name in self.after or not condition(trial, "Succeeded"):
                continue
            metrics = trial["status"]["observation"]["metrics"]
            end = next(m["latest"] for m in metrics if m["name"] == "end")
            self.after[name] = now - float(end)


def run_experiment(image, seconds, trials):
    name = f"figures-{str(seconds).replace('.', '-')}"
    pod, ends = FirstPod(name), Ends(name)
    time.sleep(1)
    body = experiment(name, image, seconds, trials)
    before, begin = Counters(), uptime()
    objects.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, "experiments", body)
    for event in custom("experiments", field_selector=f"metadata.name={name}"):
        if condition(event["object"], "Succeeded") or condition(event["object"], "Failed"):
            break
    took = uptime() - begin
    cost = Counters().since(before)
    done = event["object"]["status"]
    assert done.get("trialsSucceeded") == trials, json.dumps(done, indent=1)
    time.sleep(1)
    after = statistics.median(ends.after.values())
    remove(name)
    return took, pod.at - begin, after, cost


def run_jobs(pod, trials):
    """Jobs with these containers, as many at a time; and from the ends of programs to Complete."""

    def submit(number):
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"direct-{number}", "labels": {"direct": "1"}},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"direct": "1"}}, "spec": pod}},
        }
        jobs.create_namespaced_job(NAMESPACE, body)

    version = jobs.list_namespaced_job(NAMESPACE).metadata.resource_version
    begin, started, complete = uptime(), PARALLEL, {}
    for number in range(min(PARALLEL, trials)):
        submit(number)
    for event in watch.Watch().stream(
        jobs.list_namespaced_job, NAMESPACE, label_selector="direct=1", resource_version=version
    ):
        job = event["raw_object"]
        name = job["metadata"]["name"]
        if name in complete or not condition(job, "Complete"):
            continue
        complete[name] = uptime()
        if started < trials:
            submit(started)
            started += 1
        if len(complete) == trials:
            break
    took = uptime() - begin
    after = []
    for found in core.list_namespaced_pod(NAMESPACE, label_selector="direct=1").items:
        log = core.read_namespaced_pod_log(found.metadata.name, NAMESPACE, container="main")
        end = re.search(r"^end=(\S+)", log, re.M)
        name = found.metadata.labels["job-name"]
        after.append(complete[name] - float(end[1]))
    jobs.delete_collection_namespaced_job(
        NAMESPACE, label_selector="direct=1", propagation_policy="Background"
    )
    wait_until_gone("direct=1")
    return took, statistics.median(after)


def remove(name):
    objects.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, "experiments", name)
    wait_until_gone(f"katib.kubeflow.org/experiment={name}")


def wait_until_gone(selector):
    while core.list_namespaced_pod(NAMESPACE, label_selector=selector).items:
        time.sleep(0.5)
    time.sleep(2)


def injected(image, seconds):
    """The pod of a trial as the webhook made it, without what the API server adds."""
    name = "figures-pod"
    body = experiment(name, image, seconds, 1, retain=True)
    objects.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, "experiments", body)
    for event in custom("experiments", field_selector=f"metadata.name={name}"):
        if condition(event["object"], "Succeeded"):
            break
    selector = f"katib.kubeflow.org/experiment={name}"
    pods = core.list_namespaced_pod(NAMESPACE, label_selector=selector, _preload_content=False)
    spec = json.loads(pods.data)["items"][0]["spec"]
    own = [v for v in spec["volumes"] if not v["name"].startswith("kube-api-access")]
    names = {v["name"] for v in own}
    for each in spec["containers"]:
        each["volumeMounts"] = [m for m in each.get("volumeMounts", []) if m["name"] in names]
    return {"restartPolicy": "Never", "containers": spec["containers"], "volumes": own}


def processes(argument):
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if argument in (folder / "cmdline").read_bytes():
                yield folder
        except OSError:
            pass


class Counters:
    """What the controller has used so far."""

    def __init__(self):
        text = client.ApiClient().call_api(
            "/metrics", "GET", auth_settings=["BearerToken"], response_type="str"
        )[0]
        ours = re.findall(
            r'^apiserver_flowcontrol_dispatched_requests_total\{flow_schema="diwan-controller".*\} (\S+)$',
            text,
            re.M,
        )
        self.requests = sum(float(n) for n in ours)
        # Of all clients; of most of these kinds nobody else writes.
        self.writes = collections.Counter()
        for labels, count in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", text, re.M):
            label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            what = "/".join(filter(None, (label["resource"], label["subresource"])))
            if label["group"] in ("kubeflow.org", "batch", "coordination.k8s.io", ""):
                self.writes[f"{label['verb']} {what}"] += float(count)
        self.cpu = self.memory = 0.0
        for folder in processes(b"/diwan\0controller"):
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            self.cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            resident = re.search(r"VmRSS:\s+(\d+)", (folder / "status").read_text())
            self.memory += int(resident[1]) / 1024

    def since(self, before):
        if "DETAILS" in os.environ:
            for what, count in (self.writes - before.writes).most_common(40):
                print(f"    {count:.0f} {what}")
        return self.requests - before.requests, self.cpu - before.cpu, self.memory


def main():
    image = sys.argv[1]
    runs = [run.split(",") for run in sys.argv[2:]] or [("4", "30"), ("0.5", "30"), ("0", "30")]
    print(f"controller before: {Counters().memory:.1f} MiB")
    for seconds, trials in runs:
        trials = int(trials)
        plain = {"restartPolicy": "Never", "containers": [container(image, seconds)]}
        bare, bare_after = run_jobs(plain, trials)
        same, same_after = run_jobs(injected(image, seconds), trials)
        remove("figures-pod")
        took, first, after, (requests, cpu, memory) = run_experiment(image, seconds, trials)
        print(
            f"{trials} trials of {seconds} s, {PARALLEL} at a time: {took:.1f} s; Jobs with the same "
            f"containers {same:.1f} s, ratio {took / same:.2f}; with the user's alone {bare:.1f} s, "
            f"ratio {took / bare:.2f}\n"
            f"  from create to the first pod {first:.2f} s\n"
            f"  from the end of a program to Trial Succeeded {after:.2f} s; to Job Complete with the "
            f"same containers {same_after:.2f} s, with the user's alone {bare_after:.2f} s (medians)\n"
            f"  {requests / trials:.1f} requests a trial; controller {cpu:.2f} s of CPU, {memory:.1f} MiB",
            flush=True,
        )


main()
