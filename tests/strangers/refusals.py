"""The one list of what cannot be served: (model, stage) pairs, with what the error says.

`REFUSALS` is what stays so: an error that names what is in the way. `KNOWN_FAULTS` is what is wrong today and waits to
be mended. Both are asserted: a pair that is served must leave its list, and an error that says something else fails.
"""

# {stage: {part of what the error says: names of cases}}
_REFUSED = {
    # It has the signature `step` alone: what needs more than one time step and the states is no stream.
    "micro": {
        "reads time from its end, which a stream does not have yet": (
            "bidirectional_encoder_states backwards_and_flipped masked_bidirectional_tagger masked_backwards "
            "bidirectional_concat_last bidirectional_apart bidirectional_backward_of_its_own bidirectional_stateful "
            "tagger_distributed backwards_last bidirectional_concat bidirectional_ave bidirectional_states"
        ),
        "needs more than one step and the states": (
            "self_attention causal_convolution_free_time convolution_then_lstm convolutional_lstm_beside "
            "steps_flattened steps_unstacked steps_normalized gru_and_simple_rnn_beside list_of_cells_with_gru"
        ),
        "steps where the model reads one": "anomaly_autoencoder",
        "is not a layer of the model itself": (
            "sequential_ends_with_a_dict sequential_in_functional autoencoder_of_two_models masked_nested_model "
            "document_of_sentences sentences_by_a_model"
        ),
        "and a stream is of one": (
            "seq2seq_with_states inputs_by_name siamese_of_two_lengths nested_encoder_called_twice additive_attention "
            "two_inputs mask_as_an_input"
        ),
        "TFLM cannot run it": "frames_of_a_video",
    },
}

_FAULTS = {}


def _pairs(listed):
    pairs = {}
    for stage, of_stage in listed.items():
        for text, names in of_stage.items():
            for name in names.split():
                if (name, stage) in pairs:
                    raise ValueError(f"expected each pair once; received {name!r}, {stage!r} twice")
                pairs[name, stage] = text
    return pairs


REFUSALS = _pairs(_REFUSED)
KNOWN_FAULTS = _pairs(_FAULTS)
