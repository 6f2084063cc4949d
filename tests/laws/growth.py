"""That a reader takes time and memory linear in the length of a text."""
import gc
import statistics
import time
import tracemalloc


def check_growth(look, text):
    """Raise AssertionError unless four times the text take less than seven times the memory and ten times the time.

    text(length) is a text of about that length, look reads one. Linear is four, a square would be sixteen.
    """
    small, large = peak(look, text(1200)), peak(look, text(4800))
    assert large < 7 * small, (small, large)
    gc.collect()
    gc.disable()
    try:
        turns = max(1, int(0.001 / max(seconds(look, text(2000), 1), 1e-6)))
        ratios = (seconds(look, text(8000), turns) / max(seconds(look, text(2000), turns), 0.001) for _ in range(4))
        assert any(ratio < 10 for ratio in ratios)  # once is enough: what else the machine does can only take time
    finally:
        gc.enable()


def seconds(look, text, turns):
    """Return the median time of a processor for a number of looks at a text."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        for _ in range(turns):
            look(text)
        times.append(time.process_time() - begun)
    return statistics.median(times)


def peak(look, text):
    """Return the largest number of bytes in use at once while a text is looked at."""
    tracemalloc.start()
    try:
        look(text)
        return tracemalloc.get_traced_memory()[1] + 10000
    finally:
        tracemalloc.stop()
