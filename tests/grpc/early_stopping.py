"""What a collector or a controller of Katib asks of the service `EarlyStopping`, from Python.

Arguments: the address of the service, that of the DB manager, a trial that runs, its token, and the
address of a service without access to trials.
"""

import sys

import grpc
from kubeflow.katib import katib_api_pb2 as api
from kubeflow.katib import katib_api_pb2_grpc as services

SERVICE, DB_MANAGER, RUNNING, TOKEN, APART = sys.argv[1:]

stopping = services.EarlyStoppingStub(grpc.insecure_channel(SERVICE))
log = services.DBManagerStub(grpc.insecure_channel(DB_MANAGER))


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"ok: {what}", flush=True)


def refused(call, code, text):
    try:
        call()
    except grpc.RpcError as error:
        check(error.code() == code and text in error.details(), f"{code.name}: {error.details()}")
    else:
        raise SystemExit(f"failed: not refused: {text}")


def settings(**values):
    given = [api.EarlyStoppingSetting(name=name, value=value) for name, value in values.items()]
    return api.EarlyStoppingSpec(algorithm_name="medianstop", algorithm_settings=given)


def validate(spec):
    request = api.ValidateEarlyStoppingSettingsRequest(early_stopping=spec)
    return stopping.ValidateEarlyStoppingSettings(request)


validate(settings(min_trials_required="2", start_step="3"))
wrong = grpc.StatusCode.INVALID_ARGUMENT
refused(lambda: validate(settings(start_step="0")), wrong, "start_step")
refused(lambda: validate(settings(colour="red")), wrong, "unknown setting colour")
other = api.EarlyStoppingSpec(algorithm_name="guess")
refused(lambda: validate(other), wrong, "unknown algorithm name guess")


def report(trial, losses):
    rows = [
        api.MetricLog(
            time_stamp=f"2026-01-01T00:00:{second:02}Z",
            metric=api.Metric(name="loss", value=str(loss)),
        )
        for second, loss in enumerate(losses)
    ]
    log.ReportObservationLog(
        api.ReportObservationLogRequest(
            trial_name=trial, observation_log=api.ObservationLog(metric_logs=rows)
        )
    )


def rules(trials, address=DB_MANAGER):
    objective = api.ObjectiveSpec(type=api.MINIMIZE, objective_metric_name="loss")
    spec = api.ExperimentSpec(
        objective=objective, early_stopping=settings(min_trials_required="3", start_step="2")
    )
    request = api.GetEarlyStoppingRulesRequest(
        experiment=api.Experiment(name="study", spec=spec),
        trials=trials,
        db_manager_address=address,
    )
    return stopping.GetEarlyStoppingRules(request).early_stopping_rules


# The first two values count; their means are 1.5, 3 and 30, the median of which is 3.
for name, losses in [("s-1", [2, 1, 0]), ("s-2", [4, 2, 9]), ("s-3", [40, 20, 0])]:
    report(name, losses)
trials = [
    api.Trial(name=name, status=api.TrialStatus(condition=api.TrialStatus.SUCCEEDED))
    for name in ["s-1", "s-2", "s-3"]
]
check(not rules(trials[:2]), "too few trials give no rule")
(rule,) = rules(trials)
found = (rule.name, float(rule.value), rule.comparison, rule.start_step)
check(found == ("loss", 3.0, api.GREATER, 2), f"three give one: {found}")
refused(lambda: rules(trials, ""), wrong, "db_manager_address")
refused(lambda: rules(trials, "127.0.0.1:9"), grpc.StatusCode.UNAVAILABLE, "127.0.0.1:9")


def stop(stub, trial, *metadata):
    stub.SetTrialStatus(api.SetTrialStatusRequest(trial_name=trial), metadata=metadata)


refused(lambda: stop(stopping, "nobody"), grpc.StatusCode.NOT_FOUND, "nobody")
refused(
    lambda: stop(stopping, RUNNING, ("diwan-namespace", "default"), ("diwan-trial-token", "00")),
    grpc.StatusCode.PERMISSION_DENIED,
    "diwan-trial-token",
)
apart = services.EarlyStoppingStub(grpc.insecure_channel(APART))
refused(lambda: stop(apart, RUNNING), grpc.StatusCode.FAILED_PRECONDITION, "no access to trials")
stop(stopping, RUNNING, ("diwan-namespace", "default"), ("diwan-trial-token", TOKEN))
stop(stopping, RUNNING)

print("all checks passed")
