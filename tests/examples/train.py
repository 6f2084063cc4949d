"""A small stand-in for a training: takes key=value words, prints a loss, needs no Hydra.

With --multirun it does what Hydra does with values that are separated by commas: a run for each combination, in
numbered directories below hydra.sweep.dir.
"""
import itertools
import os
import sys


def train(settings):
    """Print the loss of a few epochs and return the last one."""
    loss = 1.0
    for epoch in range(1, 4):
        loss *= 1 - float(settings.get("learning_rate", "0.1"))
        print("epoch {} loss {:.4f}".format(epoch, loss))
    return loss


def main(words):
    """Execute one run, or with --multirun several."""
    pairs = [word.split("=", 1) for word in words if "=" in word]
    settings = {key: value for key, value in pairs if not key.startswith("hydra.")}
    directory = dict(pairs).get("hydra.sweep.dir", "")
    several = [value.split(",") if "--multirun" in words else [value] for value in settings.values()]
    for number, values in enumerate(itertools.product(*several)):
        run = dict(zip(settings, values))
        print("training " + " ".join("{}={}".format(*pair) for pair in run.items()))
        loss = train(run)
        if directory:
            os.makedirs(os.path.join(directory, str(number)))
            with open(os.path.join(directory, str(number), "loss"), "w") as file:
                file.write("{:.4f}\n".format(loss))


if __name__ == "__main__":
    main(sys.argv[1:])
