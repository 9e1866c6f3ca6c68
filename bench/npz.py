#!/usr/bin/env python3
"""Prints an .npz file of learning curves as JSON: npz.py FILE > curves.json

Needs no numpy. Arrays of numbers become nested lists; arrays of one text that holds JSON (the
search space and the configurations) become what that JSON says.
"""
import array
import ast
import json
import struct
import sys
import zipfile


def read(data: bytes):
    """One .npy file: its header says type and shape, the values follow in C order."""
    assert data[:6] == b"\x93NUMPY", "not an .npy file"
    width, start = ("<H", 10) if data[6] == 1 else ("<I", 12)
    (length,) = struct.unpack(width, data[8:start])
    header = ast.literal_eval(data[start : start + length].decode("latin-1"))
    assert not header["fortran_order"]
    kind, body = header["descr"], data[start + length :]
    if kind.startswith("<U"):
        return json.loads(body.decode("utf-32-le").rstrip("\0"))
    values = array.array({"<f4": "f", "<f8": "d", "<i8": "q"}[kind])
    values.frombytes(body)
    return nested(list(values), header["shape"])


def nested(values: list, shape: tuple):
    for size in reversed(shape[1:]):
        values = [values[i : i + size] for i in range(0, len(values), size)]
    return values


with zipfile.ZipFile(sys.argv[1]) as archive:
    json.dump({name.removesuffix(".npy"): read(archive.read(name)) for name in archive.namelist()}, sys.stdout)
