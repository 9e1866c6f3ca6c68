"""Writes the event files of this folder, and what TensorBoard reads from them.

    python3 -m venv venv && venv/bin/pip install tensorboardX tensorboard tensorflow-cpu
    venv/bin/python write.py [FOLDER]

FOLDER (this one by default) gets one folder of files for each writer, and expected.json: for each
series, as EventAccumulator sees it, pairs of wall time and value (text, because of nan).
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorboardX
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

HERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
HERE = HERE if HERE.is_dir() else HERE.parent


def with_tensorboard_x(folder):
    """Plain scalars, beside histograms and text; several folders of one run."""
    with tensorboardX.SummaryWriter(str(folder)) as writer:
        for step in range(12):
            writer.add_scalar("loss", 1 / (step + 1), step)
            writer.add_scalar("train/accuracy", step / 12, step, walltime=1.7e9 + step / 7)
        writer.add_scalar("loss", float("nan"), 12)
        writer.add_scalar("loss", 1e-30, 13)
        writer.add_text("note", "no number", 0)
        writer.add_histogram("weights", np.arange(5.0), 0, bins=3)
        writer.add_scalars("both", {"a": 0.5, "b": 2.0}, 3)


def with_tensorflow(folder):
    """Tensors of each type that a metric may have."""
    for part in ["train", "validation"]:
        writer = tf.summary.create_file_writer(str(folder / part))
        with writer.as_default():
            for step in range(8):
                tf.summary.scalar("accuracy", step / 8 + (part == "train"), step=step)
            for dtype in ["float64", "float16", "bfloat16", "int32", "int64", "uint8"]:
                value = tf.constant(3, dtype=dtype)
                metadata = tf.compat.v1.SummaryMetadata()
                tf.summary.write(f"as_{dtype}", value, step=1, metadata=metadata)
            tf.summary.write("vector", tf.constant([1.0, 2.0]), step=1)
            tf.summary.text("note", "no number", step=1)
        writer.close()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        # TensorFlow 1: one tag of two operations gets a number.
        value = tf.compat.v1.placeholder(tf.float32, [])
        first = tf.compat.v1.summary.scalar("old", value)
        second = tf.compat.v1.summary.scalar("old", value * 2)
        writer = tf.compat.v1.summary.FileWriter(str(folder / "v1"))
        for step in range(3):
            for summary in session.run([first, second], {value: step + 0.5}):
                writer.add_summary(summary, step)
        writer.close()


def with_keras(folder):
    """A small model that is fitted under the TensorBoard callback."""
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Input((2,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    inputs = np.random.rand(16, 2)
    callback = tf.keras.callbacks.TensorBoard(str(folder), write_graph=False)
    model.fit(
        inputs,
        inputs.sum(1),
        epochs=4,
        validation_split=0.25,
        verbose=0,
        callbacks=[callback],
    )


def read(path):
    """What TensorBoard reads: tag, wall times, values."""
    events = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    for tag in tags["scalars"]:
        yield tag, [[e.wall_time, repr(float(e.value))] for e in events.Scalars(tag)]
    for tag in tags["tensors"]:
        arrays = [(e.wall_time, tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
        if all(a.size == 1 and a.dtype.kind in "fiuV" for _, a in arrays):
            yield tag, [[time, repr(float(a.reshape(-1)[0]))] for time, a in arrays]


def main():
    expected = {}
    for name, write in [
        ("tensorboardX", with_tensorboard_x),
        ("tensorflow", with_tensorflow),
        ("keras", with_keras),
    ]:
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        write(folder)
        for number, path in enumerate(sorted(folder.rglob("*tfevents*"))):
            # The names that writers choose hold the machine's name.
            renamed = path.with_name(f"events.out.tfevents.{number}")
            path.rename(renamed)
            for tag, values in read(renamed):
                expected[f"{renamed.relative_to(HERE)}:{tag}"] = values
    text = json.dumps(expected, sort_keys=True).replace("]], ", "]],\n")
    (HERE / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
