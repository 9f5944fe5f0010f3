import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tfface.layers.convolution import DownBlock, ResidualBlock, UpBlock
from tfface.layers.region_relation import RegionRelationBlock


@pytest.mark.parametrize("adjacency", ["combined", "soft"])
def test_every_layer_exports_without_foreign_operators(tmp_path, adjacency):
    keras.utils.set_random_seed(0)
    prior = np.zeros((4, 4), int)
    prior[0, 1] = prior[1, 0] = 1
    inputs = keras.Input((16, 16, 3))
    x = DownBlock(4)(inputs)
    x = RegionRelationBlock(4, (1, 2), adjacency, {2: prior})(x)
    x = UpBlock(4)(ResidualBlock(4)(x))
    model = keras.Model(inputs, x)
    path = tmp_path / "layers.tflite"
    model.export(path, format="litert", verbose=False)

    # A foreign operator would stop the interpreter, which is built without TensorFlow's.
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert not [name for name in names if name.startswith("Flex") or name == "CUSTOM"]
    image = np.random.default_rng(0).uniform(size=(1, 16, 16, 3)).astype("float32")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    out = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(out, model.predict(image, verbose=0), atol=1e-5)
