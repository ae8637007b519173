import pytest
from torch import nn

from polyvec.encoders.decoder import decoder_encoder
from polyvec.encoders.layer_stack import layer_stack
from polyvec.errors import BadInput


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "mpnet", "modernbert"])
def test_layers_are_found_and_removed(tiny_architecture, kind):
    _, model = tiny_architecture(kind)
    stack = layer_stack(model[0])
    assert len(stack.layers) == 2
    first = stack.layers[0]
    stack.keep(1)
    assert list(stack.layers) == [first]
    assert stack.body.config.num_hidden_layers == 1
    assert (stack.final_norm is not None) == (kind == "modernbert")


def test_what_the_configuration_lists_by_layer_is_cut_as_well(tiny_architecture):
    _, model = tiny_architecture("modernbert")
    stack = layer_stack(model[0])
    before = list(stack.body.config.layer_types)
    stack.keep(1)
    assert stack.body.config.layer_types == before[:1]


def test_the_final_norm_of_a_decoder(tiny_decoder_path):
    model = decoder_encoder(tiny_decoder_path)
    assert layer_stack(model[0]).final_norm is model[0].auto_model.norm


def test_what_has_no_layers_is_refused():
    for module in (None, nn.Linear(1, 1)):
        with pytest.raises(BadInput, match="no layers in a list; give a transformer"):
            layer_stack(module)
