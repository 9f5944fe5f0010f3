"""How a network learns: the optimizer that a config asks for, and each epoch's learning rate."""

import math

import keras


def make_optimizer(plan, average=None):
    """The optimizer of one player.

    Args:
        plan: Values of OptimizerConfig.
        average: Momentum of a moving average of the player's weights, or None for none.

    Returns:
        keras.optimizers.Optimizer at the rate of the first epoch.
    """
    arguments = {
        "learning_rate": plan.learning_rate,
        "weight_decay": plan.weight_decay or None,
        "use_ema": average is not None,
        "ema_momentum": average or 0.0,
    }
    if plan.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=plan.momentum, **arguments)
    return keras.optimizers.Adam(**arguments)


def learning_rate(plan, losses):
    """The learning rate of the epoch that follows some others.

    It is a function of what those epochs came to and of nothing else, so that a run which was
    stopped goes on with the rate that it would have had.

    Args:
        plan: Values of OptimizerConfig.
        losses: Training loss of each epoch so far.

    Returns:
        float.
    """
    rate = plan.learning_rate
    if plan.decay_every is not None:
        rate *= plan.decay ** (len(losses) // plan.decay_every)
    if plan.decay_stalled is not None:
        rate *= plan.decay ** _stalls(losses, plan.decay_stalled)
    return max(rate, plan.least_rate)


def _stalls(losses, patience):
    """How often the loss did not fall for `patience` epochs on end."""
    best, waited, count = math.inf, 0, 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            waited, count = 0, count + 1
    return count
