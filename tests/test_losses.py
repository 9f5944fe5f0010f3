import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface import losses

NAN = float("nan")
LOG2 = math.log(2.0)
LOG3 = math.log(3.0)


class TestAdversarialLosses:
    # sigmoid(log 3) = 3/4, so every logarithm below is one of a fraction.
    real = np.array([[LOG3], [0.0]], "float32")  # D = 3/4, 1/2
    fake = np.array([[-LOG3], [LOG3]], "float32")  # D = 1/4, 3/4

    @pytest.mark.parametrize(
        ("name", "generator", "discriminator"),
        [
            (
                "non_saturating",
                -(math.log(1 / 4) + math.log(3 / 4)) / 2,
                -(math.log(3 / 4) + math.log(1 / 2)) / 2 - (math.log(3 / 4) + math.log(1 / 4)) / 2,
            ),
            # log 3 > 1: the first real and the first fake are beyond the margin and cost nothing.
            ("hinge", 0.0, (0 + 1) / 2 + (0 + 1 + LOG3) / 2),
            (
                "lsgan",
                ((LOG3 + 1) ** 2 + (LOG3 - 1) ** 2) / 4,
                ((LOG3 - 1) ** 2 + 1) / 4 + (LOG3**2 + LOG3**2) / 4,
            ),
            ("wgan-gp", 0.0, 0.0 - LOG3 / 2),
        ],
    )
    def test_hand_derived_values(self, name, generator, discriminator):
        loss = losses.get_adversarial_loss(name)
        assert float(loss.generator_loss(self.fake)) == pytest.approx(generator, abs=1e-6)
        assert float(loss.discriminator_loss(self.real, self.fake)) == pytest.approx(
            discriminator, abs=1e-6
        )

    def test_wasserstein_generator_wants_high_scores(self):
        loss = losses.get_adversarial_loss("wgan-gp")
        assert float(loss.generator_loss(np.array([1.0, 3.0], "float32"))) == -2.0

    @pytest.mark.parametrize("name", list(losses.ADVERSARIAL_LOSSES))
    def test_generator_pushes_the_scores_of_its_samples_up(self, name):
        loss = losses.get_adversarial_loss(name)
        fake = tf.Variable([[-0.5], [0.25]])
        with tf.GradientTape() as tape:
            value = loss.generator_loss(fake)
        assert np.all(tape.gradient(value, fake).numpy() < 0)

    def test_non_saturating_is_exact_for_logits_of_any_size(self):
        loss = losses.NonSaturatingLoss()
        fake = tf.Variable([-1000.0, 1000.0])
        with tf.GradientTape() as tape:
            value = loss.generator_loss(fake)
        assert float(value) == 500.0
        # It does not vanish where the discriminator wins: d softplus(-x) / 2 at both ends.
        np.testing.assert_array_equal(tape.gradient(value, fake), [-0.5, 0.0])
        assert float(loss.discriminator_loss([1000.0], [-1000.0])) == 0.0

    def test_half_precision_logits_do_not_overflow(self):
        loss = losses.LeastSquaresLoss()
        value = loss.generator_loss(np.full((4, 1), 301.0, "float16"))
        assert value.dtype == tf.float32
        assert float(value) == 45000.0  # 300^2 / 2; 300^2 is beyond float16

    def test_unknown_name_lists_the_names(self):
        with pytest.raises(
            ValueError, match=r"non_saturating.*hinge.*lsgan.*wgan-gp.*Received: name='wgan'"
        ):
            losses.get_adversarial_loss("wgan")

    @pytest.mark.parametrize("name", list(losses.ADVERSARIAL_LOSSES))
    def test_serializes(self, name):
        config = keras.saving.serialize_keras_object(losses.get_adversarial_loss(name))
        assert config["registered_name"].startswith("tfface>")
        again = keras.saving.deserialize_keras_object(config)
        assert type(again) is losses.ADVERSARIAL_LOSSES[name]


class TestMaskedBinaryCrossentropy:
    # BCE of logit log 3: present log(4/3), absent log 4; of logit 0: log 2 either way.
    labels = np.array([[1.0, 0.0, NAN], [0.0, NAN, NAN]], "float32")
    logits = np.array([[LOG3, 0.0, 5.0], [LOG3, 7.0, -9.0]], "float32")
    value = (math.log(4 / 3) + LOG2 + math.log(4)) / 3

    def test_mean_over_known_entries(self):
        value = losses.masked_binary_crossentropy(self.labels, self.logits)
        assert float(value) == pytest.approx(self.value, abs=1e-6)

    def test_class_weights_scale_present_only(self):
        value = losses.masked_binary_crossentropy(self.labels, self.logits, [4.0, 9.0, 9.0])
        assert float(value) == pytest.approx(
            (4 * math.log(4 / 3) + LOG2 + math.log(4)) / 3, abs=1e-6
        )

    def test_nothing_known_is_zero_with_zero_gradient(self):
        logits = tf.Variable([[1.0, -1.0]])
        with tf.GradientTape() as tape:
            value = losses.masked_binary_crossentropy([[NAN, NAN]], logits)
        assert float(value) == 0.0
        np.testing.assert_array_equal(tape.gradient(value, logits), [[0.0, 0.0]])

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_gradient_is_finite_and_that_of_the_known_entries(self, jit_compile):
        logits = tf.Variable(self.logits)

        @tf.function(jit_compile=jit_compile)
        def gradient():
            with tf.GradientTape() as tape:
                value = losses.masked_binary_crossentropy(self.labels, logits)
            return tape.gradient(value, logits)

        # (sigmoid(logit) - label) / 3 where known, 0 elsewhere.
        expected = [[-0.25 / 3, 0.5 / 3, 0.0], [0.75 / 3, 0.0, 0.0]]
        np.testing.assert_allclose(gradient(), expected, atol=1e-6)

    def test_extreme_logits_stay_exact(self):
        value = losses.masked_binary_crossentropy([[1.0, 0.0]], [[-1e4, 1e4]])
        assert float(value) == 1e4

    def test_soft_labels(self):
        value = losses.masked_binary_crossentropy([[0.25]], [[LOG3]])
        assert float(value) == pytest.approx(0.25 * math.log(4 / 3) + 0.75 * math.log(4), abs=1e-6)

    def test_shapes_that_would_broadcast_are_refused(self):
        with pytest.raises(ValueError, match=r"`labels` and `logits`.*\(4, 1\) and \(4, 3\)"):
            losses.masked_binary_crossentropy(np.zeros((4, 1)), np.zeros((4, 3)))
        with pytest.raises(ValueError, match=r"`class_weights`.*3 action units.*\(1,\)"):
            losses.masked_binary_crossentropy(np.zeros((4, 3)), np.zeros((4, 3)), [1.0])

    def test_class_equals_function(self):
        loss = losses.MaskedBinaryCrossentropy()
        assert float(loss(self.labels, self.logits)) == pytest.approx(self.value, abs=1e-6)
        weighted = losses.MaskedBinaryCrossentropy(
            class_weights=np.array([4.0, 9.0, 9.0], "float32")
        )
        assert float(weighted(self.labels, self.logits)) == pytest.approx(
            (4 * math.log(4 / 3) + LOG2 + math.log(4)) / 3, abs=1e-6
        )

    def test_class_weighs_samples(self):
        value = losses.MaskedBinaryCrossentropy()(
            self.labels, self.logits, sample_weight=[1.0, 0.0]
        )
        assert float(value) == pytest.approx((math.log(4 / 3) + LOG2) / 3, abs=1e-6)

    def test_class_config_round_trip(self):
        loss = losses.MaskedBinaryCrossentropy(class_weights=[4.0, 9.0, 9.0], reduction="sum")
        config = keras.saving.serialize_keras_object(loss)
        again = keras.saving.deserialize_keras_object(config)
        assert again.get_config() == loss.get_config()
        assert float(again(self.labels, self.logits)) == float(loss(self.labels, self.logits))

    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
    def test_fits_a_model_with_missing_labels(self, policy):
        inputs = keras.Input((2,), dtype="float32")
        outputs = keras.layers.Dense(2, dtype=policy, kernel_initializer="ones")(inputs)
        model = keras.Model(inputs, outputs)
        model.compile("sgd", loss=losses.MaskedBinaryCrossentropy(class_weights=[2.0, 2.0]))
        labels = np.array([[1.0, NAN], [NAN, NAN], [0.0, NAN]], "float32")
        before = model.layers[1].kernel.numpy()
        history = model.fit(np.ones((3, 2), "float32"), labels, epochs=1, verbose=0)
        # Logit 2 everywhere, labels 1 and 0 of the first unit: (2 softplus(-2) + softplus(2)) / 2.
        expected = (2 * math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
        assert history.history["loss"][0] == pytest.approx(expected, rel=1e-2)
        after = model.layers[1].kernel.numpy()
        assert np.all(after[:, 0] != before[:, 0])
        np.testing.assert_array_equal(after[:, 1], before[:, 1])


class TestClassWeights:
    def test_ratio_of_absent_to_present(self):
        labels = [[1, 1, 0, NAN, 1], [0, 1, 0, NAN, NAN], [0, 1, 0, NAN, 0], [0, 1, 0, NAN, 1]]
        # 3 absent and 1 present; all present (0, clipped); never present; never known; 1 and 2.
        np.testing.assert_allclose(losses.class_weights_from_labels(labels), [3, 0.1, 1, 1, 0.5])

    def test_rare_units_are_bounded(self):
        labels = np.zeros((1000, 1))
        labels[0] = 1
        np.testing.assert_allclose(losses.class_weights_from_labels(labels), [10.0])
        np.testing.assert_allclose(losses.class_weights_from_labels(labels, limit=50), [50.0])

    def test_balances_the_two_classes(self):
        labels = np.array([[1.0], [0.0], [0.0], [0.0]], "float32")
        weights = losses.class_weights_from_labels(labels)
        logits = tf.Variable(np.zeros((4, 1), "float32"))
        with tf.GradientTape() as tape:
            value = losses.masked_binary_crossentropy(labels, logits, weights)
        assert float(tf.reduce_sum(tape.gradient(value, logits))) == pytest.approx(0.0, abs=1e-7)

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r"`labels` must have shape \(n, n_au\).*\(3,\)"):
            losses.class_weights_from_labels([1, 0, 1])
        with pytest.raises(ValueError, match=r"`limit`.*0.5"):
            losses.class_weights_from_labels([[1, 0]], limit=0.5)


class TestPerceptualDistance:
    def test_sum_over_levels_of_mean_squares(self):
        a = [np.zeros((1, 2, 2, 1), "float32"), np.array([[1.0, 5.0]], "float32")]
        b = [
            np.array([1, 2, 3, 4], "float32").reshape(1, 2, 2, 1),
            np.array([[2.0, 3.0]], "float32"),
        ]
        assert float(losses.perceptual_distance(a, b)) == pytest.approx(30 / 4 + (1 + 4) / 2)

    def test_one_map_alone_is_one_level(self):
        a = np.zeros((2, 1, 1, 2), "float32")
        b = np.array([1, 2, 3, 4], "float32").reshape(2, 1, 1, 2)
        assert float(losses.perceptual_distance(a, b)) == pytest.approx(30 / 4)
        assert float(losses.perceptual_distance(a, [b])) == pytest.approx(30 / 4)

    def test_half_precision_features_do_not_overflow(self):
        a = [np.full((1, 4), 1000.0, "float16")]
        b = [np.zeros((1, 4), "float16")]
        assert float(losses.perceptual_distance(a, b)) == 1e6

    @pytest.mark.parametrize(
        ("a", "b"), [([], []), ([np.zeros((1, 2))], []), ([np.zeros((1, 2))], [np.zeros((1, 1))])]
    )
    def test_levels_must_match(self, a, b):
        with pytest.raises(ValueError, match="Received"):
            losses.perceptual_distance(a, b)


class TestTotalVariation:
    def test_hand_derived(self):
        image = np.array([[0.0, 1.0], [3.0, 3.0]], "float32").reshape(1, 2, 2, 1)
        # Vertical differences 3 and 2, horizontal 1 and 0.
        assert float(losses.total_variation(image)) == pytest.approx((9 + 4) / 2 + (1 + 0) / 2)

    def test_flat_image_has_none_and_a_finite_gradient(self):
        images = tf.Variable(tf.fill((2, 4, 4, 3), 0.7))
        with tf.GradientTape() as tape:
            value = losses.total_variation(images)
        assert float(value) == 0.0
        np.testing.assert_array_equal(tape.gradient(value, images), np.zeros((2, 4, 4, 3)))
