"""Everything that a user of the Katib SDK does, against the cluster of $KUBECONFIG.

The SDK is used as it comes from PyPI; the one argument is the address of the DB manager.
"""

import sys
import time

import kubeflow.katib as katib
from kubernetes import client as k8s

DB_MANAGER = sys.argv[1]
NAMESPACE = "default"


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"ok: {what}", flush=True)


def objective(parameters):
    """Runs as a trial: imports must stand inside."""
    a, b = float(parameters["a"]), int(parameters["b"])
    for step in range(3):
        print(f"result={4 * a - b * b - (2 - step)}", flush=True)


client = katib.KatibClient(namespace=NAMESPACE)

client.tune(
    name="tuned",
    objective=objective,
    parameters={
        "a": katib.search.double(min=0.1, max=0.9),
        "b": katib.search.int(min=1, max=3),
    },
    base_image="python:3.11",
    objective_metric_name="result",
    max_trial_count=4,
    parallel_trial_count=2,
    resources_per_trial={"cpu": "0.5", "memory": "200Mi"},
)
client.wait_for_experiment_condition(name="tuned", timeout=120, polling_interval=1)
best = client.get_optimal_hyperparameters("tuned")
check(len(best.parameter_assignments) == 2, "tune() of a local function has an optimum")
metric = best.observation.metrics[0]
check(metric.name == "result" and float(metric.max) >= float(metric.min), "with its metric")
check(len(client.list_trials("tuned")) == 4, "list_trials")
details = client.get_success_trial_details("tuned")
check(len(details) == 4 and all(d["metrics"] for d in details), "get_success_trial_details")
check(client.is_experiment_succeeded("tuned"), "is_experiment_succeeded")

trial = client.list_trials("tuned")[0].metadata.name
log = client.get_trial_metrics(trial, NAMESPACE, db_manager_address=DB_MANAGER)
check([row.metric.name for row in log] == ["result"] * 3, "get_trial_metrics over gRPC")
suggestion = client.get_suggestion("tuned")
check(suggestion.status.suggestion_count >= 4, "get_suggestion")

# An experiment of the user's own, with the trial's object kept, so that its log can be read; the
# trial reports by itself.
PUSH = """
import kubeflow.katib as katib
print("about to report")
katib.report_metrics({"loss": ${trialParameters.x}, "step": 1})
"""
experiment = katib.V1beta1Experiment(
    api_version="kubeflow.org/v1beta1",
    kind="Experiment",
    metadata=k8s.V1ObjectMeta(name="pushed", namespace=NAMESPACE),
    spec=katib.V1beta1ExperimentSpec(
        max_trial_count=2,
        parallel_trial_count=1,
        max_failed_trial_count=0,
        resume_policy="LongRunning",
        algorithm=katib.V1beta1AlgorithmSpec(algorithm_name="random"),
        objective=katib.V1beta1ObjectiveSpec(
            type="minimize", objective_metric_name="loss", additional_metric_names=["step"]
        ),
        metrics_collector_spec=katib.V1beta1MetricsCollectorSpec(
            collector=katib.V1beta1CollectorSpec(kind="Push")
        ),
        parameters=[
            katib.V1beta1ParameterSpec(
                name="x",
                parameter_type="double",
                feasible_space=katib.V1beta1FeasibleSpace(min="0.1", max="0.9"),
            )
        ],
        trial_template=katib.V1beta1TrialTemplate(
            retain=True,
            primary_container_name="main",
            trial_parameters=[katib.V1beta1TrialParameterSpec(name="x", reference="x")],
            trial_spec={
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [
                                {
                                    "name": "main",
                                    "image": "python:3.11",
                                    "command": ["python3", "-c", PUSH],
                                }
                            ],
                        }
                    }
                },
            },
        ),
    ),
)
client.create_experiment(experiment)
client.wait_for_experiment_condition(name="pushed", timeout=120, polling_interval=1)
trials = client.list_trials("pushed")
check(len(trials) == 2, "create_experiment runs")
names = [m.name for m in trials[0].status.observation.metrics]
check(names == ["loss", "step"], "report_metrics inside a trial")
lines = client.get_job_logs("pushed", trials[0].metadata.name)
check("about to report" in "\n".join(lines), "get_job_logs")

client.edit_experiment_budget("pushed", max_trial_count=4)
for _ in range(240):
    got = client.get_experiment("pushed")
    if got.status.trials_succeeded == 4 and client.is_experiment_succeeded("pushed"):
        break
    time.sleep(0.5)
check(got.status.trials_succeeded == 4, "edit_experiment_budget restarts")
conditions = client.get_experiment_conditions("pushed")
check([c.type for c in conditions][-1] == "Succeeded", "get_experiment_conditions")

names = {e.metadata.name for e in client.list_experiments()}
check(names == {"tuned", "pushed"}, "list_experiments")
for name in ("tuned", "pushed"):
    client.delete_experiment(name)
for _ in range(120):
    if not client.list_experiments():
        break
    time.sleep(0.5)
check(not client.list_experiments(), "delete_experiment")
print("all checks passed")
