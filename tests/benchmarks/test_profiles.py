"""What takes the time of a step, read off a trace."""

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import profiles
from benchmarks.profiles import kinds_of, most, read_trace, self_times

TINY = {"batch_size": 2, "overrides": {"recognizer": {"backbone": "compact", "size": 32}}}
MS = 10**9  # picoseconds


def make_space(planes):
    """An XSpace of planes {name: {thread: [(event, beginning, duration in ms)]}}."""
    space = xplane_pb2.XSpace()
    for name, threads in planes.items():
        plane = space.planes.add(name=name)
        numbers = {}
        for thread, events in threads.items():
            line = plane.lines.add(name=thread)
            for event, begin, duration in events:
                number = numbers.setdefault(event, len(numbers) + 1)
                plane.event_metadata[number].name = event
                line.events.add(metadata_id=number, offset_ps=begin * MS, duration_ps=duration * MS)
    return space


CPU = {
    "tf_Compute/1": [
        ("ExecutorState::Process", 0, 100),  # no operation: it holds the others
        ("step/conv/Conv2D:Conv2D", 10, 20),
        ("step/call:PartitionedCall", 40, 50),
        ("step/call/Conv2D:Conv2D", 45, 30),
        ("step/call/Relu:Relu", 75, 5),
    ],
    "tf_Compute/2": [("step/conv/Conv2D:Conv2D", 10, 40)],
    "python": [("EagerLocalExecute: __inference_step", 0, 200), ("MakeIterator::Tensor", 1, 2)],
}


def test_time_within_an_operation_is_not_its_own():
    events = [("a", 0, 10), ("in a", 1, 4), ("in that", 2, 1), ("in a too", 5, 3), ("b", 10, 2)]
    assert dict(self_times(events)) == {"a": 3, "in a": 3, "in that": 1, "in a too": 3, "b": 2}


def test_operations_are_added_up_by_type_over_threads():
    kinds = kinds_of(make_space({"/host:CPU": CPU, "Task Environment": {}}))
    found = {name: (kind.seconds, kind.calls) for name, kind in kinds.items()}
    assert found == {
        "Conv2D": (pytest.approx(0.09), 3),
        "PartitionedCall": (pytest.approx(0.015), 1),
        "Relu": (pytest.approx(0.005), 1),
    }
    assert kinds["Conv2D"].single == pytest.approx(
        {"step/conv/Conv2D": 0.06, "step/call/Conv2D": 0.03}
    )
    ms, operations = most(kinds)  # of ten steps
    assert ms == pytest.approx(11)
    assert [each["operation"] for each in operations] == ["Conv2D", "PartitionedCall", "Relu"]
    first = operations[0]
    assert (first["ms"], first["calls"]) == (pytest.approx(9), 0.3)
    assert first["share"] == pytest.approx(90 / 110)
    assert (first["largest"], first["largest_share"]) == (
        "step/conv/Conv2D",
        pytest.approx(60 / 110),
    )


def test_on_a_gpu_its_kernels_count():
    gpu = {"Stream #1": [("wgrad_kernel", 0, 3)], "XLA Ops": [("fusion", 0, 3)]}
    kinds = kinds_of(make_space({"/host:CPU": CPU, "/device:GPU:0": gpu}))
    assert {name: kind.seconds for name, kind in kinds.items()} == {
        "wgrad_kernel": pytest.approx(0.003)
    }


def test_no_more_than_so_many_are_shown():
    events = [(f"op{i}:Type{i}", 100 * i, i) for i in range(1, 31)]
    _, operations = most(kinds_of(make_space({"/host:CPU": {"thread": events}})))
    assert [each["operation"] for each in operations] == [f"Type{i}" for i in range(30, 15, -1)]


def test_a_folder_without_a_trace_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="`folder` must hold a profile"):
        read_trace(tmp_path)


@pytest.mark.slow
def test_ten_steps_are_profiled(tmp_path, capsys):
    (case,) = profiles.measure("recognition", ["quickstart"], tmp_path, **TINY)
    assert case["folder"] == str(tmp_path / "quickstart")
    operations = {each["operation"]: each for each in case["operations"]}
    assert len(operations) == profiles.ROWS
    assert {"Conv2D", "Conv2DBackpropFilter"} <= set(operations)
    # The compact backbone's convolutions run once each in every step.
    assert operations["Conv2D"]["calls"] == int(operations["Conv2D"]["calls"]) > 0
    assert 0 < sum(each["share"] for each in operations.values()) <= 1
    said = capsys.readouterr().out
    assert "recognition, sizes of its config quickstart" in said and "| Conv2D " in said
    (panel,) = profiles.bars([case])
    assert panel.values["Conv2D"] == operations["Conv2D"]["ms"]
