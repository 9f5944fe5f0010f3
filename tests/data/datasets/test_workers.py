import threading

import pytest

from tfface.data.datasets.workers import in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(in_order(lambda x: x * x, range(50), workers)) == [x * x for x in range(50)]
    assert list(in_order(str, [], workers)) == []


def test_items_are_read_a_little_ahead_only():
    read = []
    results = in_order(lambda x: x, (read.append(x) or x for x in range(1000)), workers=2)
    assert next(results) == 0
    assert len(read) <= 8  # four waiting for each worker
    results.close()


def test_two_workers_work_at_once():
    both = threading.Barrier(2, timeout=20)
    assert list(in_order(lambda _: both.wait() >= 0, range(2), workers=2)) == [True, True]


def test_an_error_is_raised_at_its_turn_and_ends_the_rest():
    done = []

    def work(item):
        if item == 3:
            raise OSError("disk")
        done.append(item)
        return item

    results = in_order(work, range(1000), workers=1)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="disk"):
        next(results)
    assert len(done) < 20


def test_no_workers():
    with pytest.raises(ValueError, match="`workers` must be at least 1. Received: 0"):
        list(in_order(str, [1], 0))
