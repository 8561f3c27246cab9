// z, of which a gate is the activation, told from the gate: as exactly as its value allows.

const INVERSES = {
  sigmoid: (value) => Math.log(value / (1 - value)), tanh: Math.atanh, linear: (value) => value,
  hard_sigmoid: (value) => 6 * value - 3, keras2_hard_sigmoid: (value) => 5 * value - 2.5,
};
const RANGES = { sigmoid: [0, 1], tanh: [-1, 1], linear: [-Infinity, Infinity], hard_sigmoid: [0, 1], keras2_hard_sigmoid: [0, 1] };

// The z of a gate in text; null where none can be told: something acts on the gate, or its activation has no inverse here.
function preactivation(name, value) {
  const layer = layerNow(), activation = name === "g" ? layer.activation : layer.recurrent_activation;
  if (layer.steered.includes(name) || name in turned || !(activation in INVERSES)) return null;
  const [low, high] = RANGES[activation], inverse = INVERSES[activation];
  // The value is known to this much, and so is z between two ends.
  const off = Math.abs(value) * Math.max(layer.precision, content.exact ? 0 : 2 ** -10);
  const ends = [value - off, value + off].map((end) => (end <= low ? -Infinity : end >= high ? Infinity : inverse(end)));
  const places = [2, 1, 0].find((one) => ends[1] - ends[0] < 10 ** -one);
  if (places !== undefined) return digits(inverse(value), places);
  return value - low > high - value ? `> ${digits(finite(ends[0], inverse(high - off)), 0)}` : `< ${digits(finite(ends[1], inverse(low + off)), 0)}`;
}

const finite = (one, other) => (Number.isFinite(one) ? one : other);
