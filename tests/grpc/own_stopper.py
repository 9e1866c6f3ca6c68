"""An early stopping service of a user's own: no trial may be worse than the best one by half.

It reads what trials have reported from the DB manager, as Katib's does, and listens on $PORT.
"""

import os
from concurrent import futures

import grpc
from kubeflow.katib import katib_api_pb2 as api
from kubeflow.katib import katib_api_pb2_grpc as services


class Stopper(services.EarlyStoppingServicer):
    def GetEarlyStoppingRules(self, request, context):
        objective = request.experiment.spec.objective.objective_metric_name
        log = services.DBManagerStub(grpc.insecure_channel(request.db_manager_address))
        done = [t for t in request.trials if t.status.condition == api.TrialStatus.SUCCEEDED]
        losses = []
        for trial in done:
            query = api.GetObservationLogRequest(trial_name=trial.name, metric_name=objective)
            reply = log.GetObservationLog(query)
            losses += [float(row.metric.value) for row in reply.observation_log.metric_logs]
        if not losses:
            return api.GetEarlyStoppingRulesReply()
        rule = api.EarlyStoppingRule(
            name=objective, value=str(1.5 * min(losses)), comparison=api.GREATER, start_step=1
        )
        return api.GetEarlyStoppingRulesReply(early_stopping_rules=[rule])


server = grpc.server(futures.ThreadPoolExecutor(4))
services.add_EarlyStoppingServicer_to_server(Stopper(), server)
server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
server.start()
server.wait_for_termination()
