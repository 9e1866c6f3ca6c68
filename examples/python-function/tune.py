"""Tunes a Python function of this file with the unmodified SDK of Kubeflow Katib.

The SDK copies the function's source into each trial, so the function imports what it needs and
prints its metrics. The trials run with the `python` that `diwan up` finds on its PATH.
"""

import kubeflow.katib as katib

NAME = "python-function"


def fit_a_wave(parameters):
    """Fits a polynomial to noisy points of a wave by gradient descent with momentum."""
    import math
    import random

    rate = float(parameters["rate"])
    momentum = float(parameters["momentum"])
    degree = int(parameters["degree"])

    draw = random.Random(1)
    points = [draw.uniform(-1, 1) for _ in range(240)]
    heights = [math.sin(3 * x) + draw.gauss(0, 0.1) for x in points]
    # Chebyshev polynomials: as features they are nearly independent of each other.
    features = [[math.cos(power * math.acos(x)) for power in range(degree + 1)] for x in points]
    known = list(zip(features[:160], heights[:160]))
    unseen = list(zip(features[160:], heights[160:]))

    def predict(weights, row):
        return sum(weight * value for weight, value in zip(weights, row))

    weights = [0.0] * (degree + 1)
    speed = [0.0] * (degree + 1)
    for epoch in range(1, 31):
        draw.shuffle(known)
        for row, height in known:
            # An error beyond 10 counts as 10, so that a bad setting stays finite.
            error = max(-10.0, min(10.0, predict(weights, row) - height))
            for index, value in enumerate(row):
                speed[index] = momentum * speed[index] - rate * error * value
                weights[index] += speed[index]
        squares = [(predict(weights, row) - height) ** 2 for row, height in unseen]
        print(f"epoch={epoch} loss={sum(squares) / len(squares):.6f}")


def main():
    client = katib.KatibClient(namespace="default")
    client.tune(
        name=NAME,
        objective=fit_a_wave,
        base_image="python:3.11",
        parameters={
            "rate": katib.search.double(min=0.0001, max=0.1),
            "momentum": katib.search.double(min=0.0, max=0.95),
            "degree": katib.search.int(min=1, max=12),
        },
        objective_metric_name="loss",
        objective_type="minimize",
        algorithm_name="tpe",
        algorithm_settings={"random_state": 1},
        max_trial_count=16,
        parallel_trial_count=4,
        max_failed_trial_count=3,
    )
    client.wait_for_experiment_condition(NAME, polling_interval=1)
    best = client.get_optimal_hyperparameters(NAME)
    print("best trial:", best.best_trial_name)
    for assignment in best.parameter_assignments:
        print(f"  {assignment.name} = {assignment.value}")
    for metric in best.observation.metrics:
        print(f"  {metric.name}: {metric.min}")


if __name__ == "__main__":
    main()
