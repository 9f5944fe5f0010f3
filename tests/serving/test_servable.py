import dataclasses

from tfface.serving.servable import in_float32


def test_a_model_that_is_no_network_is_exported_as_it_is(nearest_generator):
    assert in_float32(nearest_generator) is nearest_generator


def test_labels_are_facts_where_there_are_some(servable):
    assert "labels" not in servable.all_facts()
    labeled = dataclasses.replace(servable, labels=("smile", "frown"))
    assert labeled.all_facts()["labels"] == ["smile", "frown"]
    assert labeled.labels_text() == "smile\nfrown\n"
