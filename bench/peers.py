#!/usr/bin/env python3
"""Other people's optimizers on the problems of the search benchmark: peers.py NAME

NAME is optuna-tpe (multivariate, with constant liar), optuna-tpe-independent, optuna-gp (needs
torch), optuna-cmaes or catcmawm (CatCMA with margin, of the package cmaes). The benchmark starts
it and speaks with it over standard input and output; bench/src/search/peer.rs describes the lines.
"""
import json
import math
import os
import sys
import time
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # one thread for each search, like ours
warnings.simplefilter("ignore")


class Optuna:
    """Lists of numbers are whole numbers to Optuna, which knows their order so."""

    def __init__(self, space, seed, budget):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.names = [p["name"] for p in space]
        self.distributions = {p["name"]: self.distribution(optuna.distributions, p) for p in space}
        self.study = optuna.create_study(sampler=self.sampler(optuna.samplers, seed))
        self.open = []

    @staticmethod
    def distribution(kinds, p):
        if p["kind"] == "categorical":
            return kinds.CategoricalDistribution(list(range(p["count"])))
        if p["kind"] == "discrete":
            return kinds.IntDistribution(0, p["count"] - 1)
        kind = kinds.IntDistribution if p["kind"] == "int" else kinds.FloatDistribution
        return kind(p["low"], p["high"], log=p["log"])

    def ask(self, count):
        self.open = [self.study.ask(self.distributions) for _ in range(count)]
        return [[trial.params[name] for name in self.names] for trial in self.open]

    def tell(self, losses):
        for trial, loss in zip(self.open, losses):
            self.study.tell(trial, loss)


class OptunaTpe(Optuna):
    def sampler(self, samplers, seed):
        return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


class OptunaTpeIndependent(Optuna):
    def sampler(self, samplers, seed):
        return samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)


class OptunaCmaes(Optuna):
    def sampler(self, samplers, seed):
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


class OptunaGp(Optuna):
    def sampler(self, samplers, seed):
        import torch

        torch.set_num_threads(1)
        if not hasattr(torch.linalg, "vecdot"):  # before torch 1.13
            torch.linalg.vecdot = lambda a, b, dim=-1: (a * b).sum(dim)
        return samplers.GPSampler(seed=seed)


class CatCma:
    """Real numbers lie in [0, 1] for it, those of a logarithmic scale by their logarithm."""

    def __init__(self, space, seed, budget):
        from cmaes import CatCMAwM

        self.space, self.told, self.open = space, [], []
        doubles = [[0.0, 1.0] for p in space if p["kind"] == "double"]
        wholes = [self.steps(p) for p in space if p["kind"] in ("int", "discrete")]
        counts = [p["count"] for p in space if p["kind"] == "categorical"]
        spaces = {"x_space": doubles, "z_space": wholes, "c_space": counts}
        self.optimizer = CatCMAwM(seed=seed + 1, **{name: s for name, s in spaces.items() if s})

    @staticmethod
    def steps(p):
        if p["kind"] == "discrete":
            return list(range(p["count"]))
        values = range(p["low"], p["high"] + 1)
        return [math.log(v) for v in values] if p["log"] else list(values)

    def ask(self, count):
        self.open = [self.optimizer.ask() for _ in range(count)]
        return [self.point(solution) for solution in self.open]

    def point(self, solution):
        doubles, wholes, categories = (iter(v if v is not None else ()) for v in (solution.x, solution.z, solution.c))
        point = []
        for p in self.space:
            if p["kind"] == "double":
                u = min(max(float(next(doubles)), 0.0), 1.0)
                low, high = p["low"], p["high"]
                point.append(low * (high / low) ** u if p["log"] else low + u * (high - low))
            elif p["kind"] == "categorical":
                chosen = next(categories)
                point.append(int(chosen.argmax()) if getattr(chosen, "ndim", 0) else int(chosen))
            else:
                step = float(next(wholes))
                point.append(round(math.exp(step) if p.get("log") else step))
        return point

    def tell(self, losses):
        self.told += zip(self.open, losses)
        size = self.optimizer.population_size
        while len(self.told) >= size:
            self.optimizer.tell(self.told[:size])
            self.told = self.told[size:]


PEERS = {
    "optuna-tpe": OptunaTpe,
    "optuna-tpe-independent": OptunaTpeIndependent,
    "optuna-gp": OptunaGp,
    "optuna-cmaes": OptunaCmaes,
    "catcmawm": CatCma,
}


def main() -> None:
    name = sys.argv[1]
    if name not in PEERS:
        sys.exit(f"unknown peer {name}; there are {', '.join(PEERS)}")
    # What is imported and compiled with the first points is no part of a search.
    warm = PEERS[name]([{"name": "x", "kind": "double", "low": 0.0, "high": 1.0, "log": False}], 0, 12)
    for _ in range(12):
        warm.tell([warm.ask(1)[0][0]])
    search, seconds = None, 0.0
    for line in sys.stdin:
        request, answer = json.loads(line), {}
        begin = time.process_time()
        try:
            if "start" in request:
                search, seconds = PEERS[name](**request["start"]), 0.0
            elif "ask" in request:
                answer["points"] = search.ask(request["ask"])
            elif "tell" in request:
                search.tell(request["tell"])
        except Exception as error:  # whatever it is, the benchmark shall say so
            answer = {"error": f"{name}: {type(error).__name__}: {error}"}
        seconds += time.process_time() - begin
        print(json.dumps({**answer, "seconds": seconds}), flush=True)


main()
