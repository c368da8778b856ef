"""Sequence agents: one moving centre for every identity and every sequence of an unknown person."""

import math
from typing import Any

from keras_face import stateless
from keras_face.backend import keras, tf
from keras_face.losses.centres import MovingCentres
from keras_face.losses.geometry import distance, unit
from keras_face.losses.state import add_state, count_call


@keras.utils.register_keras_serializable(package="keras_face")
class SequenceAgents(MovingCentres):
    """Pulls each embedding to the agent of its identity or sequence and pushes it from drawn others (SeqFace's DSA).

    With D(x, c) = ||x - c||^2 / 4, an embedding x, its own agent c_y and S the agents drawn for this step,

        loss = pull_weight * D(x, c_y)
               + (1 - pull_weight) / |S| * sum_n max(0, distance_ratio * D(x, c_y) - D(x, c_n) + margin)

    over the n in S other than y. Two sequences may show one person, so an example of a sequence (label < 0) is pushed
    from agents of identities only; one of an identity from both. |S| is the divisor however many are left out.

    The agents, C + num_sequences rows, first the identities, then sequences -1, -2, ..., are constants to the gradient.
    In training, after the loss, agent_j += agent_rate * sum(x - agent_j) / 2 / (1 + n_j) over its n_j examples in the
    global batch; nothing pushes an agent.

    In training floor((C + num_sequences) * (1 - dropout_ratio)) agents are drawn without replacement, from `seed` and
    the number of calls in training so far, which is saved: all replicas draw the same, and so does a resumed run. When
    not training, S is all agents.

    Left out of the original: its warm-up iterations without one of the terms; its leak of old gradients.

    Args:
        num_identities: See `MovingCentres`.
        num_sequences: See `MovingCentres`.
        pull_weight: The original's lambda, in [0, 1]. Its default and example: 0.5.
        distance_ratio: The original's alpha, without unit, >= 1. Its default: 1; its example, as here: 2.
        margin: The original's beta, in units of D, >= 0. Its default: 0; its example, as here: 1. With `scale` D is in
            [0, scale^2]: there 1 keeps nearly every agent pushing for scale 1, so choose less.
        dropout_ratio: Share of the agents that is not drawn, in [0, 1]. Its default: 0; its example, as here: 0.99.
        agent_rate: Without unit, in [0, 2]. The original moves its agents by SGD with learning rate 0.01 (the
            network's) and momentum 0.9, that is 0.01 at once and 0.1 in the long run, the default here. The paper of
            the centre loss would have 1 (its alpha is half of this).
        scale: If given, embeddings and agents are brought to this length; > 0. The original's use_normalize does so
            with the agents only and leaves the embeddings to the network. Default: none is changed, and the squared
            distance of embeddings longer than about 1e19 overflows.
        seed: Of the draws.
        initializer: See `MovingCentres`.

    Call arguments, returns, raises: see `MovingCentres`. The original's weight of this loss: 0.04.
    Reference: Hu et al. 2018, SeqFace, https://arxiv.org/abs/1803.06524, and its dsa_loss_layer.cpp, which decides here
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        pull_weight: float = 0.5,
        distance_ratio: float = 2.0,
        margin: float = 1.0,
        dropout_ratio: float = 0.99,
        agent_rate: float = 0.1,
        scale: float | None = None,
        seed: int = 0,
        initializer: str | keras.initializers.Initializer | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, **layer_settings)
        if not 0 <= pull_weight <= 1:
            raise ValueError(f"pull_weight must be in [0, 1], got {pull_weight}")
        if not distance_ratio >= 1:
            raise ValueError(f"distance_ratio must be at least 1, got {distance_ratio}")
        if not margin >= 0:
            raise ValueError(f"margin must be a squared distance of at least 0, got {margin}")
        if not 0 <= dropout_ratio <= 1:
            raise ValueError(f"dropout_ratio must be in [0, 1], got {dropout_ratio}")
        if not 0 <= agent_rate <= 2:
            raise ValueError(f"agent_rate must be in [0, 2], got {agent_rate}")
        if scale is not None and not 0 < scale < float("inf"):
            raise ValueError(f"scale must be a length above 0 or None, got {scale}")
        self.pull_weight = pull_weight
        self.distance_ratio = distance_ratio
        self.margin = margin
        self.dropout_ratio = dropout_ratio
        self.agent_rate = agent_rate
        self.scale = scale
        self.seed = seed

    @property
    def num_centres(self) -> int:
        return self.num_identities + self.num_sequences

    @property
    def num_drawn(self) -> int:
        """Number of agents drawn for a step of training."""
        return math.floor(self.num_centres * (1.0 - self.dropout_ratio) + 1e-9)  # 10 * (1 - 0.9) is below 1

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.draws = add_state(self, "draws", 0, "int64")

    def placed(self, centres: tf.Tensor) -> tf.Tensor:
        return centres if self.scale is None else self.scale * unit(centres)

    def draw(self, step: int | tf.Tensor) -> tf.Tensor:
        """Returns the rows of the agents of one step of training, int32 [num_drawn], all different."""
        keys = stateless.uniform([self.num_centres], tf.stack([tf.cast(self.seed, tf.int64), tf.cast(step, tf.int64)]))
        return tf.math.top_k(keys, self.num_drawn, sorted=False).indices

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        own = self.find(labels)
        embeddings = self.placed(tf.cast(embeddings, tf.float32))
        own_distance = distance(embeddings, self.placed(tf.gather(self.centres, own.rows)), squared=True) / 4.0
        loss = self.pull_weight * own_distance
        step = count_call(self.draws, training)
        drawn = self.draw(step) if training else tf.range(self.num_centres)
        num_drawn = self.num_drawn if training else self.num_centres
        if num_drawn:
            agents = self.placed(tf.gather(self.centres, drawn) if training else tf.convert_to_tensor(self.centres))
            violation = tf.nn.relu(
                self.distance_ratio * own_distance[:, tf.newaxis] - _quarter_squares(embeddings, agents) + self.margin
            )
            drawn = tf.cast(drawn, own.rows.dtype)
            is_identity = own.rows[:, tf.newaxis] < self.num_identities
            pushes = (drawn != own.rows[:, tf.newaxis]) & (is_identity | (drawn < self.num_identities))
            push = tf.reduce_sum(tf.where(pushes, violation, 0.0), axis=1) / num_drawn
            loss += (1.0 - self.pull_weight) * push
        if training:
            self.move(embeddings, labels, self.agent_rate / 2.0)
        return tf.where(own.in_range, loss, float("nan"))

    def get_config(self) -> dict[str, Any]:
        settings = {
            "pull_weight": self.pull_weight,
            "distance_ratio": self.distance_ratio,
            "margin": self.margin,
            "dropout_ratio": self.dropout_ratio,
            "agent_rate": self.agent_rate,
            "scale": self.scale,
            "seed": self.seed,
        }
        return super().get_config() | settings


def _quarter_squares(embeddings: tf.Tensor, agents: tf.Tensor) -> tf.Tensor:
    """Returns a quarter of the squared distances, float32 [batch, agents], from one matrix product."""
    squares = tf.reduce_sum(tf.square(embeddings), axis=1)[:, tf.newaxis] + tf.reduce_sum(tf.square(agents), axis=1)
    return tf.nn.relu(squares - 2.0 * tf.matmul(embeddings, agents, transpose_b=True)) / 4.0
