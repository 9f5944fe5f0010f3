"""What a search varies and what it judges by: each system's loss weights and its figure."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from configuration import UsageError

from tfface.magnification.model import MODES


@dataclass(frozen=True)
class Weight:
    """A loss weight of a system, a key of its config's `loss`.

    Args:
        symbol: What the paper calls it.
        plays: Function of the config: whether the weight changes anything.
        ceiling: The largest value that its model takes.
    """

    symbol: str
    plays: Callable = lambda config: True
    ceiling: float = float("inf")


@dataclass(frozen=True)
class System:
    """What of a training script can be searched.

    Args:
        weights: By name, its Weight.
        figure: What a trial is judged by, in words.
        path: Where `summary.json` has it, by keys under `metrics`; "{variant}" stands for the
            config's own.
        direction: "max" or "min".
        single: Keys that make one run of a config, with the values they need to have.
    """

    weights: Mapping[str, Weight]
    figure: str
    path: tuple[str, ...]
    direction: str
    single: Mapping = field(default_factory=dict)

    def value(self, summary, variant=None):
        """The figure in the content of a run's `summary.json`, or None where it has no value."""
        path = [key.format(variant=variant) for key in self.path]
        return functools.reduce(lambda values, key: values[key], path, summary["metrics"])


def _with(player):
    return lambda config: player in MODES.get(config.variant, ())


SYSTEMS = {
    "magnification": System(
        {
            "real_weight": Weight("alpha_G", _with("discriminator")),
            "peak_weight": Weight("beta_G", _with("peak_discriminator")),
            "class_weight": Weight("gamma_G", _with("generator")),
            "extractor_real_weight": Weight("alpha_E", _with("extractor")),
            "extractor_peak_weight": Weight("beta_E", _with("extractor")),
        },
        "accuracy on magnified faces",
        ("accuracy", "{variant}"),
        "max",
        {"folds": "one", "backbones": []},
    ),
    "recognition": System(
        {"adversarial_weight": Weight("alpha", lambda config: config.variant == "ours", 0.99)},
        "mean F1 of the action units",
        ("f1", "{variant}", "mean"),
        "max",
        {"folds": "one", "missing_rates": [], "alphas": []},
    ),
    "regeneration": System(
        {
            "content_weight": Weight("alpha"),
            "perceptual_weight": Weight("beta"),
            # Adam divides a factor of the whole loss out again.
            "generator_weight": Weight("lambda", lambda c: c.training.optimizer != "adam"),
        },
        "accuracy by the nearest regenerated face",
        ("accuracy", "ia_gen"),
        "max",
        {"folds": "one", "stage": "all", "classes": None, "join": []},
    ),
    "restoration": System(
        {
            "adversarial_weight": Weight("lambda_1"),
            "expression_weight": Weight("lambda_2", lambda config: config.variant == "ours"),
            "perceptual_weight": Weight("lambda_3", lambda c: c.perceptual_network != "none"),
        },
        "mean F1 of the action units read off restored faces",
        ("f1", "{variant}"),
        "max",
    ),
    "synthesis": System(
        {
            "latent_weight": Weight("lambda_1"),
            "region_weight": Weight("lambda_2"),
            "identity_weight": Weight("lambda_3", lambda c: c.identity_network != "none"),
            "variation_weight": Weight("lambda_4"),
            "label_weight": Weight("lambda_AU"),
            "image_weight": Weight("of Eq. 3"),
        },
        "F1 on real faces less that on edited ones",
        ("f1", "gap"),
        "min",
    ),
}
"""The five systems' loss weights, and what their papers' tables are about.

The figure is the run's own for the people it tests, which in a trial are validation people. That of
restoration is read by the classifier that the expression loss goes through, as in the paper: look
at the pictures of the best trials before believing it.
"""


@dataclass(frozen=True)
class Range:
    """Where a weight is looked for: from `low` to `high`, evenly in its logarithm.

    Args:
        symbol: What the paper calls it.
        own: The config's own value.
        low: Least value.
        high: Largest value.
    """

    symbol: str
    own: float
    low: float
    high: float


def ranges_of(system, config, names, factor):
    """The weights to search, each with its range around the config's own value.

    Args:
        system: Name of the system.
        config: Its config.
        names: Names of weights with commas between them; None for all that play a part and are not
            0, around which there is nothing to multiply.
        factor: The range is from the own value divided by it to the value times it.

    Returns:
        Dict of Range by name.

    Raises:
        UsageError: If there is no such weight, or it plays no part, or is 0; or none is left.
    """
    known = SYSTEMS[system].weights
    chosen = list(known) if names is None else [name.strip() for name in names.split(",")]
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(
            f"weights must be some of {', '.join(known)}. Received: {', '.join(unknown)}"
        )
    ranges = {}
    for name in chosen:
        weight, own = known[name], config.loss[name]
        if own and weight.plays(config):
            high = min(own * factor, max(own, weight.ceiling))
            ranges[name] = Range(weight.symbol, own, own / factor, high)
        elif names is not None:
            why = "plays no part in this config" if own else "is 0, around which there is no range"
            raise UsageError(f"loss.{name} {why}; leave it out of --weights")
    if not ranges:
        raise UsageError("no loss weight plays a part in this config and is above 0")
    return ranges


def check_one_run(system, config):
    """Raises UsageError if the config is a series of runs, or less than a whole one."""
    for key, value in SYSTEMS[system].single.items():
        if config[key] != value:
            raise UsageError(f"a trial is one whole run: {key} must be {value!r}, not a series")
