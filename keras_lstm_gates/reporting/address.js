// The address tells what is shown, so that a link leads to a step of a unit.

const ADDRESSED = { sample: Number, unit: Number, step: Number, gate: String };

function tellAddress() {
  const told = new URLSearchParams({ layer: layerNow().path, sample: view.sample, unit: view.unit, step: view.step, gate: view.gate });
  // A page within another has no address of its own.
  try { history.replaceState(null, "", `#${told}`); } catch { /* it is shown without */ }
}

// What the address asks for of what there is.
function asked() {
  const told = new URLSearchParams(location.hash.slice(1)), change = {};
  const layer = content.layers.findIndex((one) => one.path === told.get("layer"));
  if (layer >= 0) change.layer = layer;
  for (const [key, type] of Object.entries(ADDRESSED)) {
    const value = told.has(key) ? type(told.get(key)) : NaN;
    if (typeof value === "string" || Number.isInteger(value)) change[key] = value;
  }
  return change;
}
