"""Runs ONNX files in onnxruntime, for bench/onnx-export.ts.

    python bench/onnx_run.py FOLDER

FOLDER/jobs.json is a list of {"model", "inputs": [{"name", "shape", "file"}]}; all files lie in FOLDER, and hold float32 in the
order of the machine. Each output is written to MODEL.NAME. Prints JSON: the versions, and for each job the shapes of its outputs and the
median milliseconds of a run. If the package onnx is installed, its checker reads each file first.
"""

import json
import pathlib
import statistics
import sys
import time

import numpy as np
import onnxruntime

try:
    import onnx
except ImportError:
    onnx = None

RUNS = 7


def run(folder, job):
    path = str(folder / job["model"])
    if onnx:
        onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {i["name"]: np.fromfile(folder / i["file"], np.float32).reshape(i["shape"]) for i in job["inputs"]}
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        results = session.run(None, inputs)
        seconds.append(time.perf_counter() - start)
    shapes = {}
    for output, values in zip(session.get_outputs(), results):
        shapes[output.name] = list(values.shape)
        values.astype(np.float32).tofile(folder / f"{job['model']}.{output.name}")
    return {"outputs": shapes, "ms": 1000 * statistics.median(seconds)}


def main():
    folder = pathlib.Path(sys.argv[1])
    jobs = json.loads((folder / "jobs.json").read_text())
    print(
        json.dumps(
            {
                "onnxruntime": onnxruntime.__version__,
                "onnx": onnx and onnx.__version__,
                "python": sys.version.split()[0],
                "jobs": [run(folder, job) for job in jobs],
            }
        )
    )


main()
