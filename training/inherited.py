"""Networks of earlier regeneration runs: to begin with, or to be joined into one model."""

from pathlib import Path

from comparisons.finished import FinishedRun, check_shared
from configuration import UsageError, asked
from run import load_network, read_run_config

from tfface.regeneration.features import FerNet, create_features
from tfface.regeneration.networks import RegenerationDiscriminator, RegenerationGenerator

SHARED = (
    *("data.dataset", "data.protocol", "data.fold", "features"),
    *("faces.classes", "faces.size", "faces.channels"),
)
"""Keys that must not differ between runs that are joined: their people, and what faces are."""

_DRAWN_ANEW = ("name", "dtype", "trainable", "weights", "dropout")
"""What may differ between a network and the one it begins as."""


def begin_with(run, classifier, players):
    """Gives FER-Net and the cGANs the weights of the runs that the config begins with.

    A class that is not among an earlier run's begins anew.

    Args:
        run: The Run; its config has `init` and `classifier_training.init`.
        classifier: FerNet, yet to learn.
        players: Generators and discriminators, yet to learn, or None for FER-Net alone.
    """
    config = run.config
    if (own := config.classifier_training.init or config.init) is not None:
        folder = _regeneration_run(own, config)
        given = load_network(folder / "classifier.keras", FerNet)
        backbones = [network.get_config()["backbone"] for network in (given, classifier)]
        if config.classifier_training.init is None and len(set(backbones)) > 1:
            run.say(f"init: no {backbones[1]} in {folder}; it begins anew")
        else:
            kept = [name for name in classifier.classes if name in given.classes]
            run.say(f"init: FER-Net of {folder}; of its classes {', '.join(kept) or 'none'}")
            _copy(given.with_classes(classifier.classes), classifier, folder)
    if config.init is None or players is None:
        return
    folder = _regeneration_run(config.init, config)
    new = []
    for generator, discriminator in zip(*players, strict=True):
        if not (folder / f"{generator.name}.keras").is_file():
            new.append(generator.expression)
            continue
        kinds = (generator, RegenerationGenerator), (discriminator, RegenerationDiscriminator)
        for player, kind in kinds:
            _copy(load_network(folder / f"{player.name}.keras", kind), player, folder)
    if len(new) == len(players[0]):
        raise UsageError(f"init must hold a cGAN of {', '.join(new)}. Received: {folder}")
    run.say(f"init: cGANs of {folder}; anew: {', '.join(new) or 'none'}")


def take_classifier(path, classifier):
    """Gives FER-Net the weights of one in a file, which must be of the same classes."""
    given = load_network(path, FerNet)
    if given.classes != classifier.classes:
        raise UsageError(
            f"classifier_training.path must hold a FER-Net of {', '.join(classifier.classes)}. "
            f"Received: one of {', '.join(given.classes)}"
        )
    _copy(given, classifier, path)


def joined(run):
    """The networks of the runs that are joined.

    Args:
        run: The Run; its config has `join`, folders of finished runs, and all that they share.

    Returns:
        Their generators, the first one's FER-Net, and the extractor of the features, or None.
    """
    config = run.config
    runs = [FinishedRun.open(folder, ["regeneration"]) for folder in config.join]
    check_shared([FinishedRun(Path(config.out), config.as_dict()), *runs], SHARED)
    generators, made_by = [], {}
    for other in runs:
        paths = sorted(other.folder.glob("generator_*.keras"))
        if not paths:
            raise UsageError(f"{other.folder} holds no generators to join")
        for path in paths:
            generator = load_network(path, RegenerationGenerator)
            before = made_by.setdefault(generator.expression, other.folder)
            if before != other.folder:
                raise UsageError(
                    f"join must name one generator a class. Received: {generator.expression} in "
                    f"{before} and {other.folder}"
                )
            generators.append(generator)
    classifier = load_network(runs[0].folder / "classifier.keras", FerNet)
    _, extractor = asked(
        create_features, config.features, classifier.classes, classifier.size, classifier.channels
    )
    run.say(f"join: generators of {', '.join(made_by)}; FER-Net of {runs[0].folder}")
    return generators, classifier, extractor


def _regeneration_run(folder, config):
    """The folder of an earlier run, none of whose training faces are tested now."""
    before = read_run_config(folder)
    if before["system"] != "regeneration":
        raise UsageError(f"{folder} holds a run of {before['system']}, not of regeneration")
    old, new = before["data"], config.data
    if _people(old["dataset"]) == _people(new.dataset):
        for key in ("dataset", "protocol", "fold"):
            if old[key] != new[key]:
                raise UsageError(
                    f"{folder} has trained on the same people, dealt in another way: data.{key} "
                    f"must be {old[key]!r}. Received: {new[key]!r}"
                )
    return Path(folder)


def _people(dataset):
    """Variants of a data set share people, but for those of image_folder."""
    name = dataset.partition("/")[0]
    return dataset if name == "image_folder" else name


def _copy(given, network, source):
    """Copies weights between networks of one structure."""
    old, new = (
        {k: v for k, v in n.get_config().items() if k not in _DRAWN_ANEW} for n in (given, network)
    )
    differing = [key for key in new if old.get(key) != new[key]]
    if differing:
        key = differing[0]
        raise UsageError(
            f"{source} holds a {type(network).__name__} with {key}={old.get(key)!r}, "
            f"not {new[key]!r}"
        )
    network.set_weights(given.get_weights())
