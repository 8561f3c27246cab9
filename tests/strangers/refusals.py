"""The one list of what cannot be served: (model, stage) pairs, with what the error says.

`REFUSALS` is what stays so: an error that names what is in the way. `KNOWN_FAULTS` is what is wrong today and waits to
be mended. Both are asserted: a pair that is served must leave its list, and an error that says something else fails.
"""

# {stage: {part of what the error says: names of cases}}
_REFUSED = {}

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
