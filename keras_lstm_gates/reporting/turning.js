// Gates of one step of one unit that the reader turns: what that step alone would then hold and say.

// By unit and step: another one is shown as it was.
let turned = {};

const TURNED = { LSTM: ["f", "i", "g", "o"], GRU: ["z", "candidate"] };
// What h = o · a(c) needs of a; of another activation the page cannot tell.
const ACTIVATIONS = { tanh: Math.tanh, linear: (c) => c, relu: (c) => Math.max(0, c), sigmoid: (c) => 1 / (1 + Math.exp(-c)) };

// The values of a step with the turned gates in it; everything that came before stays.
function withTurned(now) {
  if (!Object.keys(turned).length) return now;
  const after = { ...now, ...turned };
  if (layerNow().kind === "GRU") {
    after.written = (1 - after.z) * after.candidate;
    after.kept = after.z * after.hBefore;
    after.h = now.h + after.kept - now.kept + after.written - now.written;
    return after;
  }
  after.kept = after.f * after.cBefore;
  after.written = after.i * after.g;
  // As a change, so that a c that something else acted on, or that is rounded, stays what it is where o alone is turned.
  after.c = now.c + after.kept - now.kept + after.written - now.written;
  const same = after.c === now.c, activation = ACTIVATIONS[layerNow().activation];
  after.squashed = same ? now.squashed : activation ? activation(after.c) : null;
  after.h = after.squashed === null ? null : after.o * after.squashed;
  return after;
}

// A slider for each gate, at its value; g and the candidate run from −1 to 1.
function drawTurning(now) {
  const names = TURNED[layerNow().kind];
  byId("knobs").replaceChildren(...names.map((name) => {
    const label = document.createElement("label"), knob = document.createElement("input"), number = document.createElement("output");
    knob.type = "range"; knob.step = "any"; knob.max = 1; knob.min = SIGNED.has(name) ? -1 : 0;
    // An activation of another range is turned within that of its values.
    if (Math.abs(now[name]) > 1) { knob.max = Math.ceil(Math.abs(now[name])); knob.min = -knob.max; }
    knob.value = now[name]; knob.dataset.gate = name;
    number.textContent = digits(now[name]);
    knob.oninput = () => turn(name, Number(knob.value));
    label.append(`${name}  ${content.descriptions[name]}`, knob, number);
    return label;
  }));
}

function turn(name, value) {
  turned[name] = value;
  showTurned();
}

function showTurned() {
  const now = meeting(view.step), after = withTurned(now), any = Object.keys(turned).length > 0;
  drawUnit(after, view.step); sayStep(after); sayAnswer();
  for (const knob of byId("knobs").querySelectorAll("input"))
    knob.nextSibling.textContent = digits(after[knob.dataset.gate]);
  byId("as-it-was").disabled = !any;
  const states = layerNow().kind === "GRU" ? ["h"] : ["c", "h"];
  byId("turned").textContent = any ? states.map((name) => `${name} ${digits(now[name])} → ${digits(after[name])}`).join(", ") : "";
}

function asItWas() {
  turned = {};
  drawTurning(meeting(view.step));
  showTurned();
}
