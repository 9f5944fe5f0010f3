import pytest
import tensorflow as tf

from tfface.serving.systems import NETWORKS, load_network, load_servable


def test_what_is_described_is_what_is_offered(networks, tmp_path):
    assert set(networks) == set(NETWORKS)
    for system, network in networks.items():
        network.save(tmp_path / NETWORKS[system])
        servable = load_servable(system, tmp_path / NETWORKS[system])
        assert servable.system == system
        assert servable.about.endswith(".") and servable.limits
        assert "error" in servable.endpoints["serving_default"].outputs
        for endpoint in servable.endpoints.values():
            function = tf.function(endpoint.function, input_signature=endpoint.specs)
            traced = function.get_concrete_function()
            assert set(traced.structured_outputs) == set(endpoint.outputs)
            assert {spec.name for spec in endpoint.specs} == set(endpoint.inputs)
        assert all(spec.shape[0] == 1 for spec in servable.lite.specs)


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "recognizer.keras"
    path.write_text("no zip file")
    with pytest.raises(ValueError, match=r"a recognition recognizer's \.keras file.*zer\.keras"):
        load_network("recognition", path)


def test_a_network_of_another_system(tmp_path, nearest_generator, recognizer):
    nearest_generator.save(tmp_path / "generator.keras")
    with pytest.raises(ValueError, match="`model` must be an ActionUnitRecognizer"):
        load_servable("recognition", tmp_path / "generator.keras")
    recognizer.save(tmp_path / "recognizer.keras")
    with pytest.raises(ValueError, match="`model` must map"):
        load_servable("restoration", tmp_path / "recognizer.keras")
