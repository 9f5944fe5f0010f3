"""The config files: every one is read whole, and the paper's hold the paper's numbers."""

from pathlib import Path

import pytest
import restoration
from configuration import make_parser, read_config

CONFIGS = Path(restoration.__file__).parent / "configs" / "restoration"


def read(name, *flags):
    parser = make_parser("", restoration.GROUPS)
    return read_config(parser, ["--config", str(CONFIGS / name), "--out", "runs/x", *flags])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_is_read(path):
    assert read(path.name).out == "runs/x"


def test_the_quickstart_needs_no_download():
    values = read("quickstart.yaml")
    assert values.data.dataset.startswith("synthetic_faces/")
    assert values.perceptual_network == "classifier"


@pytest.mark.parametrize(
    ("name", "dataset", "protocol"),
    [
        ("paper_bp4d.yaml", "bp4d", "bp4d_3fold"),
        ("paper_disfa.yaml", "disfa", "disfa_3fold"),
    ],
)
def test_a_paper_config_holds_what_the_paper_states(name, dataset, protocol):
    values = read(name)
    assert (values.data.dataset, values.data.protocol) == (dataset, protocol)
    assert values.data.fold == 2  # The third part is tested.
    assert values.variant == "ours"
    # 16x16 to 128x128, a fourth of it hidden.
    assert restoration.SIZE == 128
    assert values.generator.scale == 8
    assert values.hidden_area == 0.25
    assert values.generator.adjacency == "combined"
    # SRGAN's frame.
    assert (values.generator.filters, values.generator.blocks) == (64, 16)
    assert (values.discriminator.filters, values.discriminator.dense_units) == (64, 1024)
    # lambda_1 to lambda_3 and the discriminator's ratio.
    assert values.loss.adversarial_weight == 0.001
    assert values.loss.expression_weight == 0.001
    assert values.loss.perceptual_weight == 0.5
    assert values.loss.discriminator_period == 3
    assert values.perceptual_network == "vgg19"
    assert values.perceptual_weights == "imagenet"
    for plan in (values.training, values.classifier_training):
        assert (plan.learning_rate, plan.batch_size) == (0.0001, 8)


def test_the_paper_configs_leave_nothing_to_the_defaults():
    """Every number of the paper stands in its file, so that a default may change."""
    text = {name: (CONFIGS / f"paper_{name}.yaml").read_text() for name in ("bp4d", "disfa")}
    keys = (
        *("variant", "perceptual_network", "perceptual_weights", "hidden_area", "scale"),
        *("filters", "blocks", "adjacency", "dense_units", "batch_size", "learning_rate"),
        *("adversarial_weight", "expression_weight", "perceptual_weight", "discriminator_period"),
    )
    for key in keys:
        assert all(f"{key}: " in content for content in text.values()), key


def test_a_flag_wins_over_the_file():
    assert read("paper_bp4d.yaml", "--loss.expression_weight", "0").loss.expression_weight == 0
