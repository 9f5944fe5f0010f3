"""One training loop for every adversarial system: named players, one optimizer each, one verb.

A system's `train_step` reads like the algorithm box of its paper:

```python
restored = self.generator(batch["low"], training=True)
if self.due("discriminator"):
    self.update("discriminator", self.adversarial.discriminator_loss(real, fake))
self.update("generator", pixel_loss + 0.001 * adversarial_loss)
return self.track(pixel_loss=pixel_loss, adversarial_loss=adversarial_loss)
```

Everything that is mechanics lives here, once: gradient tapes, loss scaling under float16, averaging
over replicas, clipping, update ratios, XLA, several steps an execution, saving and resuming. It
works the same on one device, under `MirroredStrategy` and under `MultiWorkerMirroredStrategy`.
"""

import contextlib
import functools
import threading

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("tfface")
class AdversarialModel(keras.Model):
    """A `keras.Model` whose networks play against each other.

    Subclasses write `train_step(batch)` and `call(inputs)`; they call `update`, `due` and `track`
    and no tape. Every network must be built when it is passed in, so that strategies, tuners and
    exporters never meet an unbuilt one.

    Args:
        players: The networks that learn, by name, such as `{"generator": ..., "discriminator":
            ...}`. Each becomes an attribute of that name.
        tracked: Names of the figures that `train_step` reports through `track`; each is averaged
            over an epoch. The first is the loss that tells whether training still gets on.
        turns: Who learns in which step: one tuple of players' names for each step of a cycle that
            repeats. `[("generator",), ("generator", "discriminator")]` makes
            `due("discriminator")` true in every second step. None lets all learn in every step.
            Where gradients accumulate, a turn is all the steps of one update.

    Raises:
        ValueError: If a player is not built, or `turns` is empty or names who is no player.
    """

    def __init__(self, players, tracked=(), turns=None, **kwargs):
        super().__init__(**kwargs)
        turns = [tuple(players)] if turns is None else [tuple(turn) for turn in turns]
        for name, network in players.items():
            if not network.built:
                raise ValueError(
                    f"Every player must be built before training. Received: `{name}`, which is not."
                )
        if not turns or not set().union(*turns) <= set(players):
            raise ValueError(
                "`turns` must hold at least one tuple of players' names. "
                f"Received: {turns}, players {sorted(players)}"
            )
        self.player_names = tuple(players)
        for name, network in players.items():
            setattr(self, name, network)
        self.turns = turns
        self.step = self.add_weight(
            shape=(), dtype="int64", trainable=False, aggregation="only_first_replica", name="step"
        )
        self.trackers = [keras.metrics.Mean(name=name) for name in tracked]
        # Replicas run `train_step` in threads of their own, each with its own tape.
        self._recording = threading.local()
        self._host_step = None
        self.built = True

    def due(self, player):
        """Whether `player` learns in the step that runs, as `turns` says.

        A Python bool, fixed when the step is traced: the loop traces one graph for each pattern of
        players that learn together, so no branch is left in the graph (a merge of replicas inside
        one is impossible).
        """
        return player in self._recording.due

    def update(self, player, loss):
        """One optimizer step of `player` down its gradient of `loss`.

        The gradient is that of the mean over the global batch: each replica's loss is the mean over
        its own share, and shares are of equal size (`share` mends a mean over known labels, whose
        numbers differ). Under float16 the loss is scaled up before the gradient is taken and the
        gradient scaled down again, steps with overflowing gradients being left out.

        Args:
            player: Name of the player.
            loss: Scalar, computed in this `train_step`.
        """
        variables = getattr(self, player).trainable_variables
        optimizer = self.optimizers[player]
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        tape = self._recording.tape
        with tape.stop_recording():
            seed = tf.cast(optimizer.scale_loss(1.0 / replicas), loss.dtype)
            gradients = tape.gradient(loss, variables, output_gradients=seed)
            if self.accumulate > 1:
                gradients = self._accumulated(player, gradients)
                if not self._recording.applies:
                    return
            if self.gradient_clip is not None:
                gradients = self._clip(
                    gradients, optimizer.scale_loss(self.gradient_clip), replicas
                )
            optimizer.apply(gradients, variables)

    def _accumulated(self, player, gradients):
        """The gradients' mean over the steps since the last update, this one the last of them."""
        sums = self._gradient_sums[player]
        for total, gradient in zip(sums, gradients, strict=True):
            total.assign_add(gradient)
        means = [total / self.accumulate for total in sums]
        if self._recording.applies:
            for total in sums:
                total.assign(tf.zeros_like(total))
        return means

    def share(self, count):
        """How much of `count` this replica holds, the average replica being 1.

        A mean over known labels, which may be few on one replica and many on another, becomes times
        this the replica's part of the mean over the global batch.

        Args:
            count: Scalar, such as the number of known labels in this replica's batch.

        Returns:
            Scalar: 1 on one device; 0 where no replica has any.
        """
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
        return tf.math.divide_no_nan(count * context.num_replicas_in_sync, total)

    def track(self, **figures):
        """Adds this step's figures to their running means and returns all means to report."""
        for tracker in self.trackers:
            if tracker.name in figures:
                tracker.update_state(figures[tracker.name])
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def _clip(self, gradients, limit, replicas):
        # The norm is the global batch's gradient's; the optimizer sums over replicas once more.
        if replicas > 1:
            summed = tf.distribute.get_replica_context().all_reduce(
                tf.distribute.ReduceOp.SUM, gradients
            )
            gradients = [gradient / replicas for gradient in summed]
            limit = limit / replicas
        clipped, _ = tf.clip_by_global_norm(gradients, limit)
        return clipped

    def compile(
        self,
        optimizers,
        gradient_clip=None,
        jit_compile=False,
        steps_per_execution=1,
        accumulate=1,
        run_eagerly=False,
    ):
        """Gives each player its optimizer.

        Args:
            optimizers: One Keras optimizer a player, by name. For a moving average of a player's
                weights give its optimizer `use_ema=True, ema_momentum=0.999`, and read them through
                `averaged`. A player that computes in float16 gets dynamic loss scaling.
            gradient_clip: Largest global norm of a player's gradient, or None for no clipping.
            jit_compile: Whether XLA compiles the step; on one device only, since XLA has no way to
                sum over the replicas of `tf.distribute` (Keras' own `fit` leaves it out there).
            steps_per_execution: Steps run by one call into TensorFlow. A data set that ends within
                an execution ends the epoch there.
            accumulate: Steps, each on a batch of its own, whose mean gradient makes one update of
                every player that is due in them: for a batch that memory cannot hold. Gradients of
                all but the last of them are taken before any player has moved.
            run_eagerly: Runs steps without tracing, to debug them.

        Raises:
            ValueError: If the optimizers' names are not the players', `gradient_clip` is not
                positive, or `jit_compile` is asked for on several devices.
        """
        if set(optimizers) != set(self.player_names):
            raise ValueError(
                f"`optimizers` needs one entry a player, {sorted(self.player_names)}. "
                f"Received: {sorted(optimizers)}"
            )
        if gradient_clip is not None and not gradient_clip > 0:
            raise ValueError(f"`gradient_clip` must be positive or None. Received: {gradient_clip}")
        if accumulate < 1:
            raise ValueError(f"`accumulate` must be at least 1. Received: {accumulate}")
        replicas = self.distribute_strategy.num_replicas_in_sync
        if jit_compile and replicas > 1:
            raise ValueError(f"`jit_compile` works on one device. Received: {replicas} replicas")
        super().compile(
            optimizer=None,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            run_eagerly=run_eagerly,
        )
        self.gradient_clip, self.accumulate = gradient_clip, accumulate
        self.optimizers, self._gradient_sums = {}, {}
        for name in self.player_names:
            optimizer, network = optimizers[name], getattr(self, name)
            half = network.dtype_policy.compute_dtype == "float16"
            if half and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            if not optimizer.built:
                optimizer.build(network.trainable_variables)
            self.optimizers[name] = optimizer
            if accumulate > 1:  # Each replica adds up its own; the optimizer sums over replicas.
                self._gradient_sums[name] = [
                    tf.Variable(
                        tf.zeros(variable.shape),
                        trainable=False,
                        synchronization=tf.VariableSynchronization.ON_READ,
                        aggregation=tf.VariableAggregation.SUM,
                    )
                    for variable in network.trainable_variables
                ]

    def get_compile_config(self):
        if not self.compiled:
            return {}
        return {
            "optimizers": {
                name: keras.saving.serialize_keras_object(optimizer)
                for name, optimizer in self.optimizers.items()
            },
            "gradient_clip": self.gradient_clip,
            "jit_compile": self.jit_compile,
            "steps_per_execution": self.steps_per_execution,
            "accumulate": self.accumulate,
            "run_eagerly": self.run_eagerly,
        }

    def compile_from_config(self, config):
        config = dict(config)
        optimizers = {
            name: keras.saving.deserialize_keras_object(optimizer)
            for name, optimizer in config.pop("optimizers").items()
        }
        self.compile(optimizers, **config)

    def fit(self, *args, **kwargs):
        """`keras.Model.fit`. A resumed model goes on with the update pattern of its own `step`."""
        self._host_step = None
        return super().fit(*args, **kwargs)

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        cycle = len(self.turns) * self.accumulate
        make_step = functools.cache(self._make_step)

        def kind(step):
            """Who learns in a step, and whether it makes updates."""
            turn, position = divmod(step % cycle, self.accumulate)
            return frozenset(self.turns[turn]), position == self.accumulate - 1

        @functools.cache
        def execution(*kinds):
            """The graph of a step of each kind, one after the other."""
            run_steps = [make_step(*each) for each in kinds]

            def run(iterator):
                for run_step in run_steps:
                    logs = run_step(next(iterator))
                return logs

            return (
                run
                if self.run_eagerly
                else tf.function(run, reduce_retracing=True, autograph=False)
            )

        def train_function(iterator):
            if self._host_step is None:
                self._host_step = int(ops.convert_to_numpy(self.step))
            first, steps = self._host_step, self.steps_per_execution
            if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
                logs = execution(*(kind(first + i) for i in range(steps)))(iterator)
            else:  # `train_on_batch` hands over a plain generator of one batch.
                steps = 1
                batch = keras.utils.pack_x_y_sample_weight(*next(iter(iterator)))
                logs = make_step(*kind(first))(batch)
            self._host_step += steps
            return logs

        self.train_function = train_function

    def _make_step(self, due, applies):
        def replica_step(batch):
            self._recording.due, self._recording.applies = due, applies
            with tf.GradientTape(persistent=True) as self._recording.tape:
                logs = self.train_step(batch)
            self._recording.tape = None
            self.step.assign(self.step + 1)
            return logs

        strategy = self.distribute_strategy

        def step(batch):
            logs = strategy.run(replica_step, args=(batch,))
            return tf.nest.map_structure(
                lambda log: strategy.experimental_local_results(log)[0], logs
            )

        if self.run_eagerly:
            return step
        return tf.function(
            step, reduce_retracing=True, jit_compile=self.jit_compile or None, autograph=False
        )

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing to do: networks are built. Keras' own fails under several workers (#20585)."""

    def _get_metrics_result_or_logs(self, logs):
        # Metrics hold the whole epoch of all replicas; a step's logs what its replica has seen.
        metrics = {metric.name: metric for metric in self.metrics}
        return {
            name: metrics[name].result() if name in metrics else log for name, log in logs.items()
        }

    @property
    def metrics(self):
        return [*self.trackers, *self.test_metrics]

    @property
    def test_metrics(self):
        """The metrics that `test_step` updates; a subclass overrides it."""
        return []

    def checkpoint(self):
        """All that training needs to go on as if never stopped, as a `tf.train.Checkpoint`."""
        # By position, not as objects: TensorFlow does not look for layers in a layer's lists, where
        # blocks keep theirs, nor for the state of a dropout's draws.
        networks = {
            name: [variable.value for variable in getattr(self, name).variables]
            for name in self.player_names
        }
        return tf.train.Checkpoint(
            step=self.step.value,
            **networks,
            **{f"{name}_optimizer": optimizer for name, optimizer in self.optimizers.items()},
        )

    @contextlib.contextmanager
    def averaged(self, player):
        """Lends `player` the moving average of its weights, if its optimizer keeps one."""
        optimizer = self.optimizers[player]
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        variables = getattr(self, player).trainable_variables
        if not optimizer.use_ema or int(ops.convert_to_numpy(self.step)) == 0:
            yield getattr(self, player)
            return
        kept = [ops.convert_to_numpy(variable) for variable in variables]
        for variable, average in zip(
            variables, optimizer._model_variables_moving_average, strict=True
        ):
            variable.assign(average)
        try:
            yield getattr(self, player)
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)


def gradient_penalty(discriminator, real, fake, seed):
    """The penalty that makes a Wasserstein critic 1-Lipschitz, without its weight.

    `E[(||grad D(x)||_2 - 1)^2]` at x drawn evenly on the lines between real and fake.

    Args:
        discriminator: Maps images to one logit an image.
        real: (B, H, W, C) images.
        fake: (B, H, W, C) images.
        seed: int32 tensor (2,) for the stateless draw of the points.

    Returns:
        Scalar.

    Reference:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017, Eq. 3.
    """
    share = tf.random.stateless_uniform((tf.shape(real)[0], 1, 1, 1), seed, dtype=real.dtype)
    points = real + share * (fake - real)
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = discriminator(points, training=True)
    slopes = tf.cast(tape.gradient(scores, points), "float32")
    norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=(1, 2, 3)) + 1e-12)
    return tf.reduce_mean(tf.square(norms - 1.0))
