"""Reads handwritten digits with a small neural network.

Takes the hyperparameters as flags and prints one line of metrics after each epoch, which is all
that a trial program has to do.
"""

import argparse
import sys

from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler


def positive(kind):
    """Returns a reader of numbers of the given kind that are greater than zero."""

    def read(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError("must be greater than 0")
        return value

    return read


def read_flags():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learning-rate", type=positive(float), default=0.001)
    parser.add_argument("--hidden-units", type=positive(int), default=32)
    parser.add_argument("--batch-size", type=positive(int), default=32)
    parser.add_argument("--weight-decay", type=positive(float), default=1e-4)
    parser.add_argument("--activation", choices=["relu", "tanh", "logistic"], default="relu")
    parser.add_argument("--epochs", type=positive(int), default=15)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    flags = read_flags()
    digits = load_digits()
    known, unseen, known_digits, unseen_digits = train_test_split(
        digits.data, digits.target, test_size=0.3, stratify=digits.target, random_state=flags.seed
    )
    scaler = StandardScaler().fit(known)
    known, unseen = scaler.transform(known), scaler.transform(unseen)

    network = MLPClassifier(
        hidden_layer_sizes=(flags.hidden_units,),
        activation=flags.activation,
        alpha=flags.weight_decay,
        batch_size=min(flags.batch_size, len(known)),
        learning_rate_init=flags.learning_rate,
        random_state=flags.seed,
    )
    for epoch in range(1, flags.epochs + 1):
        network.partial_fit(known, known_digits, classes=digits.target_names)
        likely = network.predict_proba(unseen)
        accuracy = accuracy_score(unseen_digits, likely.argmax(axis=1))
        loss = log_loss(unseen_digits, likely)
        # Without flush, Python keeps lines back until the program ends.
        print(f"epoch={epoch}, accuracy={accuracy:.4f}, loss={loss:.4f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
