"""Any bytes as a sweep: it parses, or there is an Error with a place inside the text; what parses keeps the laws.

Guided by coverage; pytest does not collect it. `pip install atheris` into a virtual environment, then
`python tests/laws/fuzz_sweep.py -max_total_time=300 [CORPUS]`. What it finds becomes a case of FOUND in test_sweep_laws.py.
"""
import importlib
import os
import sys
import tempfile

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))]
from test_sweep_laws import SEEDS, check  # noqa: E402

import hydraflow  # noqa: E402


def main():
    """Feed bytes to check until the time is over, or something is found."""
    import atheris
    with atheris.instrument_imports(include=["hydraflow"]):
        importlib.reload(hydraflow)
    folder = tempfile.mkdtemp(prefix="hydraflow-fuzz-")
    for number, seed in enumerate(SEEDS):
        with open(os.path.join(folder, str(number)), "w", encoding="utf-8") as file:
            file.write(seed)
    atheris.Setup([*sys.argv, folder], lambda data: check(data.decode("utf-8", "replace")))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
