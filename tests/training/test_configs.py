"""The config files: every one is read whole, and the papers' hold the papers' numbers."""

from pathlib import Path

import magnification
import pytest
import recognition
import regeneration
import restoration
import synthesis
import yaml
from configuration import read_config

from tfface.synthesis.model import VGG_FACE_LAYERS

SYSTEMS = (magnification, recognition, regeneration, restoration, synthesis)
CONFIGS = Path(restoration.__file__).parent / "configs"
FILES = [
    (system, path)
    for system in SYSTEMS
    for path in sorted(CONFIGS.glob(f"{system.__name__}/*.yaml"))
]
PAPERS = [("paper_bp4d.yaml", "bp4d", "bp4d_3fold"), ("paper_disfa.yaml", "disfa", "disfa_3fold")]
MAGNIFIED = [
    ("paper_ckplus_oulu.yaml", "ck_plus", "kfold:5"),
    ("paper_lsemsw.yaml", "lsemsw", "own"),
]
REGENERATED = [
    ("paper_ckplus.yaml", "ck_plus", "kfold:10"),
    ("paper_oulu.yaml", "oulu_casia/vl_strong", "kfold:10"),
    ("paper_bu3dfe.yaml", "bu3dfe", "kfold:10"),
    ("paper_bu4dfe.yaml", "bu4dfe", "kfold:10"),
]
OF_PAPERS = {
    magnification: MAGNIFIED,
    recognition: PAPERS,
    regeneration: REGENERATED,
    restoration: PAPERS,
    synthesis: PAPERS[:1],
}


@pytest.fixture
def read(parser_of):
    """Function that reads a system's config file, and flags after it."""

    def values(system, name, *flags):
        path = CONFIGS / system.__name__ / name
        return read_config(parser_of(system), ["--config", str(path), "--out", "runs/x", *flags])

    return values


@pytest.mark.parametrize(("system", "path"), FILES, ids=lambda value: getattr(value, "stem", ""))
def test_every_config_is_read(read, system, path):
    assert read(system, path.name).out == "runs/x"


@pytest.mark.parametrize(("system", "path"), FILES, ids=lambda value: getattr(value, "stem", ""))
def test_a_config_is_what_its_run_writes_down(read, system, path):
    """Else the same command would not go on with its own run."""
    values = read(system, path.name).as_dict()
    assert yaml.safe_load(yaml.safe_dump(values)) == values


def test_every_system_has_its_configs():
    for system in SYSTEMS:
        names = {path.name for kind, path in FILES if kind is system}
        assert {"quickstart.yaml", *(name for name, _, _ in OF_PAPERS[system])} <= names


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.__name__)
def test_the_quickstart_needs_no_download(read, system):
    values = read(system, "quickstart.yaml")
    assert values.data.dataset.startswith("synthetic_faces/")
    if system is restoration:
        assert values.perceptual_network == "classifier"
    elif system is recognition:
        assert (values.recognizer.weights, values.unlabeled_dataset) == (None, None)
    elif system is magnification:
        assert (values.classifier.weights, values.pairs.mixed_with) == (None, [])
    elif system is regeneration:
        assert (values.perceptual_network, values.init) == ("classifier", None)
    else:
        assert (values.identity_network, values.recognizer.weights) == ("classifier", None)
        assert values.recognizer_training.path is None


@pytest.mark.parametrize(("name", "dataset", "protocol"), PAPERS)
def test_a_restoration_config_holds_what_the_paper_states(read, name, dataset, protocol):
    values = read(restoration, name)
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


@pytest.mark.parametrize(("name", "dataset", "protocol"), PAPERS)
def test_a_recognition_config_holds_what_the_paper_states(read, name, dataset, protocol):
    values = read(recognition, name)
    assert (values.data.dataset, values.data.protocol) == (dataset, protocol)
    assert (values.variant, values.folds, values.missing) == ("ours", "all", "per_image")
    # ResNet-50 from ImageNet, faces of 224x224, a three-layer D.
    recognizer = values.recognizer
    assert (recognizer.backbone, recognizer.weights) == ("resnet50", "imagenet")
    assert (recognizer.size, recognizer.pooling, recognizer.dropout) == (224, "avg", 0)
    assert values.discriminator.units == [128, 64]
    # alpha, the best of Sec. 4.3.2; Eq. 2 to 5 as printed; H_D and H_R, left open, are one each.
    assert values.loss.adversarial_weight == {"bp4d": 0.01, "disfa": 0.001}[dataset]
    assert (values.loss.discriminator_updates, values.loss.recognizer_updates) == (1, 1)
    assert (values.label_noise, values.balance, values.average) == (0, False, None)
    # All 12 AUs of BP4D, 8 of DISFA.
    expected = {"bp4d": None, "disfa": [1, 2, 4, 6, 9, 12, 25, 26]}[dataset]
    assert values.action_units == expected


@pytest.mark.parametrize(("name", "dataset", "protocol"), MAGNIFIED)
def test_a_magnification_config_holds_what_the_paper_states(read, name, dataset, protocol):
    values = read(magnification, name)
    assert (values.data.dataset, values.data.protocol) == (dataset, protocol)
    assert values.variant == "2v2"
    pairs = values.pairs
    assert (pairs.size, pairs.crop, pairs.flip) == (144, 128, True)
    for network in (values.classifier, values.generator, values.discriminator):
        assert network.initialization == "paper"
    assert (values.classifier.backbone, values.classifier.weights) == ("vgg13", None)
    # Encoder and decoder learn to give faces back first.
    assert not values.generator.residual
    for plan in (values.training, values.reconstruction, values.classifier_training):
        assert (plan.batch_size, plan.optimizer, plan.momentum) == (4, "sgd", 0.9)
        assert plan.weight_decay == 0.005
        # 1e-4, then 1e-5 when the loss does not decrease.
        assert (plan.learning_rate, plan.least_rate) == (1e-4, 1e-5)
        assert plan.decay_stalled is not None and plan.decay_every is None
    assert (values.average, values.classifier_training.average, values.extractor_rate) == (
        None,
        None,
        1,
    )
    # All adversarial weights, minimax as printed.
    loss = values.loss
    weights = ("real", "peak", "class", "extractor_real", "extractor_peak")
    assert all(loss[f"{weight}_weight"] == 0.002 for weight in weights)
    assert loss.adversarial_loss == "minimax"
    assert loss.content_loss == {"ck_plus": "pixel", "lsemsw": "perceptual"}[dataset]
    if dataset == "ck_plus":
        assert (values.folds, pairs.kind, pairs.weak_frames) == ("all", "sequences", [6, 7, 8])
        assert pairs.mixed_with == ["oulu_casia"]
        assert len(pairs.classes) == 6 and {"contempt", "neutral"}.isdisjoint(pairs.classes)
    else:
        assert (values.folds, pairs.kind, pairs.classes) == ("one", "picked", None)


@pytest.mark.parametrize(("name", "dataset", "protocol"), REGENERATED)
def test_a_regeneration_config_holds_what_the_paper_states(read, name, dataset, protocol):
    values = read(regeneration, name)
    assert (values.data.dataset, values.data.protocol) == (dataset, protocol)
    assert (values.stage, values.folds, values.classes) == ("all", "all", None)
    vgg = dataset.startswith("oulu")
    assert values.features == ("backbone:vgg16" if vgg else "fer_net")
    # 64x64 of 70x70, gray, each in 110 ways; the last frames of a sequence.
    faces = values.faces
    assert (faces.size, faces.channels, faces.augment) == (64, 1, True)
    assert faces.frames == {"bu3dfe": 2, "bu4dfe": 7}.get(dataset, 3)
    ck_plus = dataset == "ck_plus"
    assert len(faces.classes) == 6 + ck_plus and ("contempt" in faces.classes) == ck_plus
    assert "neutral" not in faces.classes
    # pix2pix's networks, Eq. 1 to 7.
    assert values.generator.filters == [64, 128, 256, 512, 512, 512]
    assert values.discriminator.filters == [64, 128, 256, 512]
    assert not values.generator.residual
    loss = values.loss
    assert (loss.content_loss, loss.content_weight, loss.perceptual_weight) == ("l1", 100, 10)
    assert loss.generator_weight == 1  # lambda


def test_fer_net_learns_as_the_paper_states(read):
    for name in ("fer2013.yaml", "paper_ckplus.yaml", "paper_bu3dfe.yaml", "paper_bu4dfe.yaml"):
        values = read(regeneration, name)
        plan = values.classifier_training
        assert (values.features, values.classifier.dropout) == ("fer_net", 0.5)
        assert (plan.optimizer, plan.momentum, plan.batch_size) == ("sgd", 0.9, 100)
        assert (plan.learning_rate, plan.decay, plan.decay_every) == (0.001, 0.8, 20)
    values = read(regeneration, "fer2013.yaml")
    assert (values.data.dataset, values.data.protocol, values.stage) == (
        "fer2013",
        "own",
        "fer_net",
    )


def test_the_synthesis_config_holds_what_the_paper_states(read):
    values = read(synthesis, "paper_bp4d.yaml")
    assert (values.data.dataset, values.data.protocol) == ("bp4d", "bp4d_3fold")
    assert values.data.fold == 2  # Parts 1 and 2 train, the third is tested.
    assert (values.region, values.size, values.identity_network) == ("full", 200, "vggface")
    generator = values.generator
    assert (len(generator.filters), generator.latent_size) == (5, 60)
    assert (generator.drawing, values.region_training.epochs) == ("pixels", 0)
    assert len(values.region_discriminator.filters) == 4
    assert len(values.latent_discriminator.units) + 1 == 4
    loss = values.loss
    assert (loss.latent_weight, loss.region_weight) == (0.01, 0.1)  # lambda_1, lambda_2
    assert (loss.identity_weight, loss.variation_weight) == (1, 0.001)  # lambda_3, lambda_4
    assert loss.label_weight == 10 and loss.action_unit_weights is None  # lambda_AU, beta_i of 1
    assert (values.training.optimizer, values.training.learning_rate) == ("adam", 0.0002)
    assert list(VGG_FACE_LAYERS.values()) == [0.5, 0.9, 0.75, 1, 1]  # alpha_l
    text = (CONFIGS / "synthesis" / "paper_bp4d.yaml").read_text()
    assert "28 subjects" in text and "parts 1 and 2" in text


@pytest.mark.parametrize(
    ("system", "keys"),
    [
        (
            regeneration,
            "stage folds precision features perceptual_network perceptual_layers dataset protocol "
            "classes frames missing size channels augment dropout epochs batch_size optimizer "
            "momentum learning_rate decay decay_every filters residual content_loss "
            "content_weight perceptual_weight generator_weight",
        ),
        (
            synthesis,
            "region precision size identity_network dataset protocol fold filters latent_size "
            "drawing decay extent units epochs steps_per_epoch batch_size learning_rate "
            "latent_weight region_weight identity_weight variation_weight label_weight "
            "image_weight",
        ),
        (
            recognition,
            "variant precision folds missing_rate missing dataset protocol backbone weights size "
            "pooling units epochs steps_per_epoch batch_size learning_rate adversarial_weight "
            "discriminator_updates recognizer_updates",
        ),
        (
            restoration,
            "variant perceptual_network perceptual_weights hidden_area scale filters blocks "
            "adjacency dense_units batch_size learning_rate adversarial_weight expression_weight "
            "perceptual_weight discriminator_period",
        ),
        (
            magnification,
            "variant precision folds dataset protocol kind size crop flip backbone initialization "
            "residual epochs batch_size optimizer momentum weight_decay learning_rate "
            "decay_stalled decay least_rate content_loss adversarial_loss real_weight peak_weight "
            "class_weight extractor_real_weight extractor_peak_weight",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_paper_configs_leave_nothing_to_the_defaults(system, keys):
    """Every number of the paper stands in its file, so that a default may change."""
    for name, _, _ in OF_PAPERS[system]:
        text = (CONFIGS / system.__name__ / name).read_text()
        assert all(f"{key}: " in text for key in keys.split())


def test_a_flag_wins_over_the_file(read):
    values = read(restoration, "paper_bp4d.yaml", "--loss.expression_weight", "0")
    assert values.loss.expression_weight == 0
    values = read(synthesis, "paper_bp4d.yaml", "--region", "crop", "--identity_network", "none")
    assert (values.region, values.identity_network) == ("crop", "none")
