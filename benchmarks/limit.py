"""The share of the limit: a step's arithmetic a second, against the most that was seen here.

What a traced function computes is read off its graph: two operations (a product and a sum) for each
multiplication of convolutions, matrix products and einsums, forward and backward, in nested
functions too, but only where a result depends on it. What is not counted: everything that is done
element by element (activations, normalizations, losses, optimizers), sums, resizing and moving, and
the bodies of loops and branches. A tap that meets the padding counts as any other.

The limit is measured in the same run: the rate of a large matrix product or of a large 3x3
convolution, whichever is higher.
"""

import math

import tensorflow as tf

MATRIX_SIDE = 2048
CONVOLVED, CONVOLVED_SIDE, CHANNELS = 8, 64, 128
"""Pictures, their side and their channels, as many in as out, of the 3x3 convolution."""


def count(function):
    """Floating-point operations of one call.

    Args:
        function: Concrete function whose shapes are all known.

    Returns:
        int.

    Raises:
        ValueError: If a shape that counts is not known.
    """
    return _count_graph(function.graph)


def step_operations(model, batch):
    """Floating-point operations of one training step, the mean over the cycle of the model's turns.

    Args:
        model: Compiled AdversarialModel.
        batch: What a step takes.

    Returns:
        float.
    """
    counts = {}
    for turn in map(frozenset, model.turns):
        if turn not in counts:
            # The very function that training runs for such a step, traced once more.
            counts[turn] = count(model._make_step(turn, True).get_concrete_function(batch))
    return sum(counts[frozenset(turn)] for turn in model.turns) / len(model.turns)


def measures():
    """What the limit is measured with.

    Returns:
        By name, a function without arguments that returns when its work is done, and the operations
        of one call.
    """
    side = (MATRIX_SIDE, MATRIX_SIDE)
    a, b = (tf.random.stateless_normal(side, (seed, 0)) for seed in (1, 2))
    shape = (CONVOLVED, CONVOLVED_SIDE, CONVOLVED_SIDE, CHANNELS)
    pictures = tf.random.stateless_normal(shape, (3, 0))
    kernel = tf.random.stateless_normal((3, 3, CHANNELS, CHANNELS), (4, 0))
    product = tf.function(_multiplied).get_concrete_function(a, b)
    convolution = tf.function(_convolved).get_concrete_function(pictures, kernel)
    return {
        "matrix product": (lambda: _done(product(a, b)), count(product)),
        "convolution": (lambda: _done(convolution(pictures, kernel)), count(convolution)),
    }


def share(times, name, operations, limits):
    """What part of the limit a rival reaches.

    Args:
        times: Timings of the rival and of what the limit is measured with, turn by turn.
        name: The rival.
        operations: Of one of its calls.
        limits: By name of what the limit is measured with, the operations of one call.

    Returns:
        Its operations a second, the limit's, and the first in parts of the second, the median over
        turns.
    """
    rates = {each: count / times.median(each) for each, count in limits.items()}
    highest = max(rates, key=rates.get)
    part = operations / limits[highest] * times.ratio(highest, name)
    return operations / times.median(name), rates[highest], part


def _multiplied(a, b):
    return tf.matmul(a, b)


def _convolved(pictures, kernel):
    return tf.nn.conv2d(pictures, kernel, 1, "SAME")


def _done(result):
    """Waits until a device is done; a copy of one number is."""
    return float(tf.reshape(result, [-1])[0])


def _count_graph(graph):
    """Operations of what the outputs of a function's graph, or its side effects, depend on."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    seen, total = set(), 0
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
        if op.type in _COUNTS:
            total += _COUNTS[op.type](op)
        elif op.type in ("PartitionedCall", "StatefulPartitionedCall"):
            total += _count_graph(graph._get_function(op.get_attr("f").name).graph)
    return total


def _shape(tensor):
    if not tensor.shape.is_fully_defined():
        raise ValueError(
            f"`function` must have known shapes to be counted. Received: {tensor.shape} of "
            f"{tensor.name}"
        )
    return tensor.shape.as_list()


def _convolution(pixels, kernel):
    """Of a convolution (..., F) by a kernel (h, w, C, F) that makes so many numbers."""
    height, width, channels, _ = _shape(kernel)
    return 2 * math.prod(_shape(pixels)) * height * width * channels


def _depthwise(pixels, kernel):
    """Of a kernel (h, w, C, M), whose every result sees one channel."""
    height, width, _, _ = _shape(kernel)
    return 2 * math.prod(_shape(pixels)) * height * width


def _product(op, transposed):
    a = _shape(op.inputs[0])
    inner = a[-2] if op.get_attr(transposed) else a[-1]
    return 2 * math.prod(_shape(op.outputs[0])) * inner


def _einsum(op):
    """Of two factors one product and sum for each combination of indices, of one no product."""
    if len(op.inputs) == 1:
        return 0
    given = op.get_attr("equation").decode().split("->")[0].split(",")
    if any("." in letters for letters in given):
        raise ValueError(f"`function` must not have an einsum with dots. Received: {given}")
    sides = {
        letter: side
        for letters, tensor in zip(given, op.inputs, strict=True)
        for letter, side in zip(letters, _shape(tensor), strict=True)
    }
    return 2 * math.prod(sides.values())


# Where a convolution goes forward the numbers it makes are its outputs; where a gradient goes
# backward, to the pictures or to the kernel, it has the same products for the gradient's numbers.
_COUNTS = {
    "Conv2D": lambda op: _convolution(op.outputs[0], op.inputs[1]),
    "Conv2DBackpropInput": lambda op: _convolution(op.inputs[2], op.inputs[1]),
    "Conv2DBackpropFilter": lambda op: _convolution(op.inputs[2], op.outputs[0]),
    "DepthwiseConv2dNative": lambda op: _depthwise(op.outputs[0], op.inputs[1]),
    "DepthwiseConv2dNativeBackpropInput": lambda op: _depthwise(op.inputs[2], op.inputs[1]),
    "DepthwiseConv2dNativeBackpropFilter": lambda op: _depthwise(op.inputs[2], op.outputs[0]),
    "MatMul": lambda op: _product(op, "transpose_a"),
    "BatchMatMul": lambda op: _product(op, "adj_x"),
    "BatchMatMulV2": lambda op: _product(op, "adj_x"),
    "BatchMatMulV3": lambda op: _product(op, "adj_x"),
    "Einsum": _einsum,
}
