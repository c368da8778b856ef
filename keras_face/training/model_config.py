"""What a `.keras` file says of a `FaceModel`, and the model made from it."""

from typing import TYPE_CHECKING, Any

from keras_face.backend import keras
from keras_face.losses.centre import AngularCentre

if TYPE_CHECKING:
    from keras_face.training.model import FaceModel


def of(model: "FaceModel") -> dict[str, Any]:
    """Returns the configuration of a model, JSON values.

    Raises: ValueError if it has what no file can hold: a teacher, a mask, or a weight that is a function.
    """
    functions = [name for name, weight in model.loss_weights.items() if callable(weight)]
    if model.has_teacher or functions:
        what = f"the weights of {', '.join(functions)} are functions" if functions else "it has a teacher"
        raise ValueError(
            f"a .keras file cannot hold this FaceModel: {what}; keep its backbone, or the weights (save_weights)"
        )
    names = {id(layer): name for name, layer in model.loss_layers.items()}
    losses = {}
    for name, layer in model.loss_layers.items():
        losses[name] = keras.saving.serialize_keras_object(layer)
        if isinstance(layer, AngularCentre) and id(layer.head) in names:
            losses[name]["config"]["head"] = names[id(layer.head)]  # the same layer, not another with its weights
    positions = {id(variable): number for number, variable in enumerate(model.backbone.trainable_variables)}
    factors = [[positions[id(variable)], factor] for variable, factor in model.learning_rate_factors]
    return {
        "name": model.name,
        "backbone": keras.saving.serialize_keras_object(model.backbone),
        "losses": losses,
        "weights": dict(model.loss_weights),
        "weight_decay": model.weight_decay,
        "decay_scope": model.decay_scope,
        "clip_norm": model.clip_norm,
        "clip_scope": model.clip_scope,
        "clip_value": model.clip_value,
        "pixel_divisor": model.pixel_divisor,
        "accumulation_steps": model.accumulation_steps,
        "average_decay": model.average.decay if model.average else 0.0,
        "learning_rate_factors": factors,
    }


def build(kind: type["FaceModel"], config: dict[str, Any]) -> "FaceModel":
    """Returns a model of a configuration, with fresh weights."""
    config = dict(config)
    backbone = keras.saving.deserialize_keras_object(config.pop("backbone"))
    serialized = config.pop("losses")
    centred = {key: each["config"]["head"] for key, each in serialized.items() if _points_to(each, serialized)}
    losses = {
        key: keras.saving.deserialize_keras_object(each) for key, each in serialized.items() if key not in centred
    }
    for key, head in centred.items():
        settings = {**serialized[key]["config"], "head": losses[head]}
        losses[key] = AngularCentre(**settings)
    variables = backbone.trainable_variables
    factors = [(variables[number], factor) for number, factor in config.pop("learning_rate_factors")]
    in_order = {key: losses[key] for key in serialized}
    return kind(backbone, in_order, config.pop("weights"), learning_rate_factors=factors, **config)


def _points_to(serialized: dict[str, Any], losses: dict[str, Any]) -> bool:
    head = serialized["config"].get("head")
    return isinstance(head, str) and head in losses
