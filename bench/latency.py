#!/usr/bin/env python3
"""Prints latencies as markdown: latency.py PEERS.jsonl OURS.json

PEERS.jsonl is what `hpo_bench.py latency` wrote: a line for each measurement. OURS.json is what
`search latency --format json` printed. The last measurement of a kind counts.
"""
import json
import os
import sys


def table(title: str, rows: dict) -> None:
    counts = sorted({n for row in rows.values() for n in row})
    print(f"| {title} | " + " | ".join(f"n = {n}" for n in counts) + " |")
    print("|---|" + "---:|" * len(counts))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row[n]:.2f}" if n in row else "" for n in counts) + " |")
    print()


processor, wall = {}, {}
if os.path.exists(sys.argv[2]) and os.path.getsize(sys.argv[2]):
    with open(sys.argv[2]) as file:
        for line in json.load(file):
            name = f"diwan {line['algorithm']}, {line['kind']}"
            processor.setdefault(name, {})[line["n"]] = line["cpu_ms"]
with open(sys.argv[1]) as file:
    for line in map(json.loads, file):
        name = f"{line['opt']}, {line['kind']}"
        if line["opt"].startswith("diwan_"):
            wall.setdefault(name, {})[line["n"]] = line["wall_ms"]
        else:
            processor.setdefault(name, {})[line["n"]] = line["cpu_ms"]
table("CPU ms a suggestion, in process", processor)
table("wall ms a suggestion over gRPC, with a Python client", wall)
