import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface import backbones, losses


def images(shape=(2, 32, 32, 3), seed=0):
    return np.random.default_rng(seed).random(shape).astype("float32")


def perceptron(*widths):
    """Parameters of the fully connected layers that these widths name."""
    return sum((n + 1) * m for n, m in itertools.pairwise(widths))


VGG_TOP = perceptron(7 * 7 * 512, 4096, 4096, 1000)

# All parameters as published (torchvision's and Keras' model pages; VGG-Face for its 2,622 people),
# and those of the top that is not built here.
PUBLISHED = {
    "alexnet": (61_100_840, perceptron(6 * 6 * 256, 4096, 4096, 1000)),
    "vgg11": (132_863_336, VGG_TOP),
    "vgg13": (133_047_848, VGG_TOP),
    "vgg16": (138_357_544, VGG_TOP),
    "vgg19": (143_667_240, VGG_TOP),
    "resnet18": (11_689_512, perceptron(512, 1000)),
    "resnet34": (21_797_672, perceptron(512, 1000)),
    # Keras counts a bias of each convolution and the moving averages, too.
    "resnet50": (25_636_712, perceptron(2048, 1000)),
    "vggface": (145_002_878, perceptron(7 * 7 * 512, 4096, 4096, 2622)),
}


class TestArchitectures:
    @pytest.mark.parametrize("name", list(PUBLISHED))
    def test_parameters_as_published(self, name):
        model = backbones.create_backbone(name)
        total, top = PUBLISHED[name]
        if name == "resnet50":
            assert model.count_params() + top == total
        else:
            assert sum(w.numpy().size for w in model.trainable_weights) + top == total

    @pytest.mark.parametrize(
        ("name", "sides"),
        [
            ("alexnet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "pool5": 6}),
            ("compact", {"conv1_relu": 112, "conv2_relu": 112, "conv3_relu": 56, "conv8_relu": 14}),
            ("vgg11", {"block1_conv1": 224, "block3_conv2": 56, "block5_pool": 7}),
            ("vggface", {"conv1_2": 224, "conv5_3": 14, "pool5": 7}),
            (
                "resnet18",
                {
                    "conv1_relu": 112,
                    "pool1_pool": 56,
                    "conv2_block2_out": 56,
                    "conv3_block1_out": 28,
                    "conv4_block2_out": 14,
                    "conv5_block2_out": 7,
                },
            ),
        ],
    )
    def test_maps_of_the_published_input_size(self, name, sides):
        model = backbones.create_backbone(name, (224, 224, 3), pooling=None)
        assert {layer: model.get_layer(layer).output.shape[1] for layer in sides} == sides

    def test_strided_convolutions_are_padded_on_both_sides(self):
        model = backbones.create_backbone("resnet18", (32, 32, 3), pooling=None)
        level = keras.Model(
            model.get_layer("preprocessing").output, model.get_layer("conv1_conv").output
        )
        kernel = model.get_layer("conv1_conv").kernel
        kernel.assign(np.ones(kernel.shape))
        impulse = np.zeros((1, 32, 32, 3), "float32")
        impulse[0, 16, 3, 0] = 1
        # Output j sees columns 2j - 3 to 2j + 3, so column 3 is seen by outputs 0 to 3.
        seen = level(impulse).numpy()[0, 8, :, 0]
        np.testing.assert_array_equal(seen, [1, 1, 1, 1] + [0] * 12)

    @pytest.mark.parametrize("pooling", ["avg", "max", "flatten", None])
    def test_pooling(self, pooling):
        batch = images((2, 64, 96, 3))
        model = backbones.create_backbone("vgg11", (64, 96, 3), pooling=None)
        pooled = backbones.create_backbone("vgg11", (64, 96, 3), pooling=pooling)
        pooled.set_weights(model.get_weights())
        maps = model(batch).numpy()  # (2, 2, 3, 512)
        expected = {
            "avg": maps.mean(axis=(1, 2)),
            "max": maps.max(axis=(1, 2)),
            "flatten": maps.reshape(2, -1),
            None: maps,
        }
        np.testing.assert_allclose(pooled(batch), expected[pooling], rtol=1e-5, atol=1e-6)

    def test_fer_net_gives_its_fully_connected_features(self):
        model = backbones.create_backbone("fer_net", (64, 64, 1))
        assert model.output_shape == (None, 256)
        assert model.get_layer("block1_conv1").kernel.shape == (3, 3, 1, 32)
        batch = images((2, 64, 64, 1))
        np.testing.assert_array_equal(model(batch), model(batch))  # no dropout outside training
        assert not np.array_equal(model(batch, training=True), model(batch))

    @pytest.mark.parametrize("name", ["alexnet", "resnet18", "vgg16", "fer_net", "compact"])
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_half_precision_follows_the_global_policy(self, name, policy):
        batch = images((2, 64, 64, 3))
        model = backbones.create_backbone(name)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            half = backbones.create_backbone(name)
        finally:
            keras.config.set_dtype_policy(before)
        half.set_weights(model.get_weights())
        expected, found = model(batch).numpy(), half(batch)
        assert found.dtype == policy.removeprefix("mixed_")
        error = np.abs(tf.cast(found, "float32") - expected).max()
        assert error < 0.06 * np.abs(expected).max()

    @pytest.mark.parametrize("name", ["alexnet", "resnet18", "vgg16", "fer_net", "compact"])
    def test_saves_and_reloads(self, name, tmp_path):
        batch = images((2, 64, 64, 3))
        model = backbones.create_backbone(name)
        model.save(tmp_path / "backbone.keras")
        again = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
        np.testing.assert_allclose(again(batch), model(batch), rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("name", ["vgg11", "resnet18", "fer_net"])
    def test_takes_a_training_step(self, name):
        model = backbones.create_backbone(name, (32, 32, 3))
        model.compile("sgd", loss="mse")
        before = [w.numpy() for w in model.trainable_weights]
        figures = model.fit(images(), np.ones((2, model.output_shape[-1])), verbose=0)
        assert np.isfinite(figures.history["loss"][0])
        changed = [
            not np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True)
        ]
        assert changed[0] and changed[-1]

    def test_bad_arguments(self):
        create = backbones.create_backbone
        with pytest.raises(ValueError, match=r"`name` must be one of.*'fer_net'.*name='vgg12'"):
            create("vgg12")
        with pytest.raises(ValueError, match=r"1 or 3 channels.*\(64, 64, 4\)"):
            create("vgg11", (64, 64, 4))
        with pytest.raises(ValueError, match=r"alexnet must be at least 63 pixels.*\(32, 64, 3\)"):
            create("alexnet", (32, 64, 3))
        with pytest.raises(ValueError, match=r"`pooling` must be None or one of.*'mean'"):
            create("vgg11", pooling="mean")
        with pytest.raises(ValueError, match=r"needs a fixed `input_shape`"):
            create("vgg11", pooling="flatten")


class TestPreprocessing:
    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            ("caffe", [0 - 103.939, 127.5 - 116.779, 255 - 123.68]),
            ("vggface", [0 - 93.5940, 127.5 - 104.7624, 255 - 129.1863]),
            ("torch", [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0 - 0.406) / 0.225]),
            ("centered", [1.0, 0.0, -1.0]),
        ],
    )
    def test_hand_derived(self, mode, expected):
        pixel = np.array([1.0, 0.5, 0.0], "float32").reshape(1, 1, 1, 3)
        layer = backbones.BackbonePreprocessing(mode)
        np.testing.assert_allclose(layer(pixel)[0, 0, 0], expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("name", ["vgg11", "vgg16", "vggface"])
    def test_grey_is_the_same_as_grey_in_three_channels(self, name):
        grey = backbones.create_backbone(name, (32, 32, 1))
        color = backbones.create_backbone(name, (32, 32, 3))
        color.set_weights(grey.get_weights())
        batch = images((2, 32, 32, 1))
        np.testing.assert_array_equal(grey(batch), color(np.repeat(batch, 3, axis=-1)))

    def test_half_precision_is_rounded_last(self):
        layer = backbones.BackbonePreprocessing("caffe", dtype="mixed_float16")
        batch = np.full((1, 1, 1, 3), 104 / 255, "float32")
        found = layer(batch)
        assert found.dtype == tf.float16
        # 104 / 255 in float16 times 255 would be off by up to 0.06.
        assert float(found[0, 0, 0, 0]) == pytest.approx(104 - 103.939, abs=1e-4)

    def test_config_round_trip(self):
        layer = backbones.BackbonePreprocessing("torch", name="input")
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert again.get_config() == layer.get_config()
        with pytest.raises(ValueError, match=r"`mode` must be one of.*mode='tf'"):
            backbones.BackbonePreprocessing("tf")


class TestKerasApplications:
    @pytest.mark.parametrize(
        ("name", "reference", "preprocess"),
        [
            ("vgg19", keras.applications.VGG19, keras.applications.vgg19.preprocess_input),
            ("resnet50", keras.applications.ResNet50, keras.applications.resnet.preprocess_input),
        ],
    )
    def test_same_weights_give_the_same_features(self, name, reference, preprocess):
        reference = reference(include_top=False, weights=None, pooling="avg")
        model = backbones.create_backbone(name)
        model.set_weights(reference.get_weights())
        batch = images((1, 48, 40, 3))
        expected = reference(preprocess(batch * 255.0)).numpy()
        np.testing.assert_allclose(model(batch), expected, rtol=1e-4, atol=1e-4 * expected.max())


class TestFeatureLevels:
    LEVELS = ("block2_conv2", "block5_conv4")

    def test_perceptual_network_of_the_restoration_paper(self):
        extractor = backbones.feature_extractor("vgg19", self.LEVELS, None, (32, 48, 3))
        shallow, deep = extractor(images((2, 32, 48, 3)))
        assert shallow.shape == (2, 16, 24, 128)
        assert deep.shape == (2, 2, 3, 512)
        assert not extractor.trainable_weights
        assert extractor.layers[-1].name == "block5_conv4"  # nothing is computed for nobody

    def test_levels_are_those_of_the_backbone(self):
        backbone = backbones.create_backbone("vgg11", (32, 32, 3), pooling=None)
        levels = backbones.feature_levels(backbone, ["block1_conv1", "block5_pool"])
        batch = images()
        first, last = levels(batch)
        np.testing.assert_array_equal(last, backbone(batch))
        kernel, bias = (w.numpy() for w in backbone.get_layer("block1_conv1").weights)
        prepared = (batch - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        window = prepared[0, 9:12, 19:22]  # around pixel (10, 20)
        expected = np.maximum(np.einsum("yxc,yxcf->f", window, kernel) + bias, 0)
        np.testing.assert_allclose(first[0, 10, 20], expected, rtol=1e-4, atol=1e-5)
        assert backbone.trainable_weights  # looking at its levels does not freeze it

    def test_one_level_is_compared_as_several_are(self):
        extractor = backbones.feature_extractor("fer_net", ["block1_relu2"], None, (16, 16, 1))
        a, b = extractor(images((2, 16, 16, 1))), extractor(images((2, 16, 16, 1), seed=1))
        assert a.shape == (2, 16, 16, 32)
        distance = losses.perceptual_distance(a, b)
        assert float(distance) == pytest.approx(np.mean((a.numpy() - b.numpy()) ** 2), rel=1e-4)

    def test_frozen_statistics_and_gradients_to_the_image(self):
        extractor = backbones.feature_extractor("resnet18", ["conv2_block2_out"], None, (32, 32, 3))
        before = [w.numpy() for w in extractor.weights]
        faces = tf.Variable(images())
        with tf.GradientTape() as tape:
            truth = extractor(images(seed=1), training=True)
            distance = losses.perceptual_distance(extractor(faces, training=True), truth)
        assert np.abs(tape.gradient(distance, faces)).max() > 0
        for a, b in zip(before, extractor.weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_stays_frozen_when_reloaded(self, tmp_path):
        extractor = backbones.feature_extractor("fer_net", ["block1_relu2"], None, (16, 16, 3))
        extractor.save(tmp_path / "extractor.keras")
        again = keras.saving.load_model(tmp_path / "extractor.keras", safe_mode=True)
        assert not again.trainable_weights
        batch = images((2, 16, 16, 3))
        np.testing.assert_allclose(again(batch)[0], extractor(batch)[0], atol=1e-6)

    @pytest.mark.parametrize("names", [[], ["block2_conv2", "block9_conv1"]])
    def test_bad_names(self, names):
        with pytest.raises(
            ValueError, match=r"`layer_names` must name layers of fer_net.*Received"
        ):
            backbones.feature_extractor("fer_net", names, None)


class TestWeights:
    @pytest.fixture
    def model(self):
        return backbones.create_backbone("fer_net", (16, 16, 3))

    def check(self, model, path):
        again = backbones.create_backbone("fer_net", (16, 16, 3), weights=path)
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("file", ["saved.weights.h5", "saved.keras"])
    def test_from_its_own_file(self, model, file, tmp_path):
        path = tmp_path / file
        model.save_weights(path) if file.endswith(".h5") else model.save(path)
        self.check(model, path)
        self.check(model, str(path))

    def test_from_a_published_file_with_a_top(self, model, tmp_path):
        outputs = keras.layers.Dense(7, name="predictions")(model.output)
        keras.Model(model.inputs, outputs).save(tmp_path / "published.h5")
        self.check(model, tmp_path / "published.h5")

    def test_a_file_that_lacks_a_layer(self, model, tmp_path):
        path = tmp_path / "cut.h5"
        keras.Model(model.inputs, model.get_layer("pool").output).save(path)
        with pytest.raises(
            ValueError, match=r"cut\.h5 do not fit fer_net.*1 layers: \['features'\]"
        ):
            backbones.create_backbone("fer_net", (16, 16, 3), weights=path)

    @pytest.mark.parametrize("file", ["grey.h5", "grey.weights.h5"])
    def test_a_file_of_other_shapes(self, file, tmp_path):
        path = tmp_path / file
        grey = backbones.create_backbone("fer_net", (16, 16, 1))
        grey.save_weights(path) if "weights" in file else grey.save(path)
        with pytest.raises(
            ValueError, match=r"do not fit fer_net\. Received: .*\(3, 3, 1, 32\)"
        ) as info:
            backbones.create_backbone("fer_net", (16, 16, 3), weights=path)
        assert "\n" not in str(info.value)

    @pytest.mark.parametrize("file", ["text.h5", "text.weights.h5", "text.keras", "text.txt"])
    def test_a_file_that_holds_no_weights(self, file, tmp_path):
        path = tmp_path / file
        path.write_text("no weights")
        with pytest.raises(ValueError, match=r"text.* do not fit fer_net\. Received: ") as info:
            backbones.create_backbone("fer_net", (16, 16, 3), weights=path)
        assert "\n" not in str(info.value)

    def test_a_file_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"None, 'imagenet' or the path.*'/no/such.h5'"):
            backbones.create_backbone("fer_net", weights="/no/such.h5")

    def test_imagenet_without_a_network_says_which_file_to_put_where(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise Exception("URL fetch failure")

        monkeypatch.setattr(keras.utils, "get_file", refuse)
        monkeypatch.setenv("KERAS_HOME", "/models/keras")
        with pytest.raises(
            ValueError,
            match=r"vgg19 need vgg19_weights_tf_dim_ordering_tf_kernels_notop\.h5.*"
            r"not in /models/keras/models.*URL fetch failure",
        ):
            backbones.feature_extractor("vgg19", ["block2_conv2"], "imagenet")

    def test_imagenet_file_is_fetched_checked_and_loaded(self, model, monkeypatch, tmp_path):
        asked = {}

        def fetch(fname, origin, cache_subdir, file_hash):
            asked.update(fname=fname, origin=origin, cache_subdir=cache_subdir, hash=file_hash)
            model.save(tmp_path / "other.h5")
            return str(tmp_path / "other.h5")

        monkeypatch.setattr(keras.utils, "get_file", fetch)
        with pytest.raises(ValueError, match=r"other\.h5 do not fit resnet50.*'conv1_conv'"):
            backbones.create_backbone("resnet50", weights="imagenet")
        assert asked["origin"].endswith("/resnet/" + asked["fname"])
        assert asked["cache_subdir"] == "models" and len(asked["hash"]) == 32

    def test_imagenet_of_a_network_that_has_none(self):
        with pytest.raises(
            ValueError, match=r"exist for \['vgg16', 'vgg19', 'resnet50'\].*'vgg11'"
        ):
            backbones.create_backbone("vgg11", weights="imagenet")
