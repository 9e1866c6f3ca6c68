"""Simulated annealing as a suggestion service, in Python on grpcio.

It serves `api.v1.beta1.Suggestion` on the port in the variable PORT. The classes of the contract
are generated from `api/proto` when it starts, so that nothing generated is kept beside it.

Every answer is made from the request alone: the walk is replayed from the trials that came with
it. So the service can be stopped and started at any time, and serves any number of experiments.
"""

import importlib
import math
import os
import pathlib
import random
import sys
import tempfile
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_tools import protoc

PROTO_DIR = pathlib.Path(
    os.environ.get("PROTO_DIR")
    or pathlib.Path(__file__).resolve().parents[2] / "api/proto/proto/api/v1/beta1"
)
HEALTH_SERVICE = "manager.v1beta1.Suggestion"
SETTINGS = {
    "initial_temperature": 0.5,  # of the range of objectives seen so far
    "cooling": 0.9,  # factor after every finished trial
    "neighbourhood": 0.2,  # longest step, as a share of a parameter's range
    "random_state": 0,
}


def load_contract():
    """Generates the message and service classes into a folder that is gone with the process."""
    out = tempfile.TemporaryDirectory(prefix="suggestion-stubs-")
    arguments = ["protoc", f"-I{PROTO_DIR}", f"--python_out={out.name}"]
    if protoc.main([*arguments, f"--grpc_python_out={out.name}", "api.proto"]) != 0:
        sys.exit(f"failed to generate the contract from {PROTO_DIR}/api.proto")
    sys.path.insert(0, out.name)
    return out, importlib.import_module("api_pb2"), importlib.import_module("api_pb2_grpc")


_stubs, pb, pb_grpc = load_contract()


class Invalid(Exception):
    """The experiment asks for what this algorithm can't do."""


def settings_of(experiment):
    """The settings of an experiment as numbers, with defaults."""
    settings = dict(SETTINGS)
    for setting in experiment.spec.algorithm.algorithm_settings:
        if setting.name not in settings:
            raise Invalid(f"unknown setting {setting.name} for algorithm annealing")
        try:
            settings[setting.name] = float(setting.value)
        except ValueError:
            raise Invalid(f"failed to validate {setting.name}({setting.value}): not a number")
    if not 0 < settings["cooling"] < 1:
        raise Invalid("cooling should be in the range of (0, 1)")
    if not 0 < settings["neighbourhood"] <= 1:
        raise Invalid("neighbourhood should be in the range of (0, 1]")
    if settings["initial_temperature"] <= 0:
        raise Invalid("initial_temperature should be greater than zero")
    return settings


class Parameter:
    """One parameter of the search space."""

    def __init__(self, spec):
        space = spec.feasible_space
        self.name = spec.name
        self.choices = list(space.list)
        if self.choices:
            return
        if spec.parameter_type not in (pb.INT, pb.DOUBLE):
            raise Invalid(f"parameter {spec.name} has neither a range nor a list")
        self.whole = spec.parameter_type == pb.INT
        self.low, self.high = float(space.min), float(space.max)
        self.step = float(space.step or (1 if self.whole else 0))
        self.log = space.distribution in (pb.LOG_UNIFORM, pb.LOG_NORMAL)

    def draw(self, rng):
        """Any value."""
        if self.choices:
            return rng.choice(self.choices)
        return self._text(self._from_unit(rng.random()))

    def near(self, text, reach, rng):
        """A value at most `reach`, a share of the range, from another one."""
        if self.choices:
            return rng.choice(self.choices) if rng.random() < reach else text
        unit = self._to_unit(float(text)) + rng.uniform(-reach, reach)
        # A step over the edge comes back.
        unit = -unit if unit < 0 else 2 - unit if unit > 1 else unit
        return self._text(self._from_unit(unit))

    def _to_unit(self, x):
        if self.high == self.low:
            return 0.0
        if self.log:
            return math.log(x / self.low) / math.log(self.high / self.low)
        return (x - self.low) / (self.high - self.low)

    def _from_unit(self, unit):
        if self.log:
            return self.low * (self.high / self.low) ** unit
        return self.low + unit * (self.high - self.low)

    def _text(self, x):
        if self.step:
            steps = math.floor((self.high - self.low) / self.step + 1e-9)
            x = self.low + min(round((x - self.low) / self.step), steps) * self.step
        x = min(max(x, self.low), self.high)
        return str(round(x)) if self.whole else repr(x)


def losses(experiment, trials):
    """Assignments and loss of the trials that have reported, oldest first."""
    objective = experiment.spec.objective
    sign = -1 if objective.type == pb.MAXIMIZE else 1
    reported = []
    for trial in sorted(trials, key=lambda trial: (trial.status.completion_time, trial.name)):
        if trial.status.condition not in (
            pb.TrialStatus.SUCCEEDED,
            pb.TrialStatus.EARLYSTOPPED,
        ):
            continue
        for metric in trial.status.observation.metrics:
            if metric.name == objective.objective_metric_name:
                try:
                    loss = sign * float(metric.value)
                except ValueError:
                    break
                if math.isfinite(loss):
                    pairs = trial.spec.parameter_assignments.assignments
                    reported.append(({pair.name: pair.value for pair in pairs}, loss))
                break
    return reported


def walk(reported, settings):
    """Replays the walk over the trials and returns where it stands, or None at the start.

    A better point is always accepted, a worse one with a probability that falls with the
    difference and with time.
    """
    rng = random.Random(settings["random_state"])
    values = [loss for _, loss in reported]
    scale = (max(values) - min(values)) if values else 0.0
    temperature = settings["initial_temperature"] * (scale or 1.0)
    current = None
    for point, loss in reported:
        chance = rng.random()
        if current is None or loss <= current[1]:
            current = (point, loss)
        elif chance < math.exp((current[1] - loss) / temperature):
            current = (point, loss)
        temperature *= settings["cooling"]
    return current and current[0]


class Suggestion(pb_grpc.SuggestionServicer):
    """The service."""

    def ValidateAlgorithmSettings(self, request, context):
        try:
            settings_of(request.experiment)
            [Parameter(spec) for spec in request.experiment.spec.parameter_specs.parameters]
        except Invalid as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return pb.ValidateAlgorithmSettingsReply()

    def GetSuggestions(self, request, context):
        try:
            settings = settings_of(request.experiment)
            specs = request.experiment.spec.parameter_specs.parameters
            parameters = [Parameter(spec) for spec in specs]
        except Invalid as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        reported = losses(request.experiment, request.trials)
        current = walk(reported, settings)
        reply = pb.GetSuggestionsReply()
        issued = request.total_request_number - request.current_request_number
        for place in range(request.current_request_number):
            rng = random.Random(f"{settings['random_state']}/{request.experiment.name}/{issued + place}")
            assignments = reply.parameter_assignments.add().assignments
            for parameter in parameters:
                old = current and current.get(parameter.name)
                if old is None:
                    value = parameter.draw(rng)
                else:
                    value = parameter.near(old, settings["neighbourhood"], rng)
                assignments.add(name=parameter.name, value=value)
        return reply


def main():
    port = int(os.environ.get("PORT", "6789"))
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=limits)
    pb_grpc.add_SuggestionServicer_to_server(Suggestion(), server)
    probe = health.HealthServicer()
    probe.set(HEALTH_SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(probe, server)
    address = os.environ.get("LISTEN", f"127.0.0.1:{port}")
    server.add_insecure_port(address)
    server.start()
    print(f"serving on {address}", flush=True)
    if "PORT" in os.environ:
        # Whoever started this holds the other end of the standard input: it ends with them.
        threading.Thread(
            target=lambda: (sys.stdin.buffer.read(), server.stop(0)), daemon=True
        ).start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
