"""A suggestion service that goes wrong in the way that the variable MODE names."""

import os
import threading
import time
import uuid
from concurrent import futures

import grpc
import kubeflow.katib.katib_api_pb2 as pb
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from kubeflow.katib.katib_api_pb2_grpc import (
    SuggestionServicer,
    add_SuggestionServicer_to_server,
)

MODE = os.environ["MODE"]


class Wayward(SuggestionServicer):
    def __init__(self):
        self.lock = threading.Lock()
        self.asked = 0
        self.given = set()

    def ValidateAlgorithmSettings(self, request, context):
        return pb.ValidateAlgorithmSettingsReply()

    def GetSuggestions(self, request, context):
        with self.lock:
            self.asked += 1
            asked = self.asked
        count, total = request.current_request_number, request.total_request_number
        if MODE == "hangs" and asked == 1:
            time.sleep(3600)
        if MODE == "short":
            count = 1
        if MODE == "forgets":
            strange = [trial.name for trial in request.trials if trial.name not in self.given]
            if strange:
                context.abort(grpc.StatusCode.UNKNOWN, f"{strange[0]} is not in the study")
        reply = pb.GetSuggestionsReply()
        for i in range(count):
            name = f"{request.experiment.name}-{uuid.uuid4().hex[:8]}"
            self.given.add(name)
            assignments = reply.parameter_assignments.add(trial_name=name)
            parameter = "nonsense" if MODE == "nonsense" else "x"
            assignments.assignments.add(name=parameter, value=str(1 / (1 + total - i)))
        return reply


def main():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    add_SuggestionServicer_to_server(Wayward(), server)
    servicer = health.HealthServicer()
    servicer.set("manager.v1beta1.Suggestion", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port("0.0.0.0:6789")
    server.start()
    server.wait_for_termination()


main()
