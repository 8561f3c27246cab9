// The page: a stroke goes through the model step by step, and everything shows the step under the cursor.

import { css, digits, GATES, isSigned, MEANINGS } from "./colours.js";
import { Stream } from "./model.js";
import { Pad } from "./pad.js";
import { Strip } from "./strip.js";
import { drawUnit } from "./unit.js";

const STEPS_A_SECOND = 11;
const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 560px)");

const state = { directions: [], start: [0.5, 0.5], frames: [], cursor: -1, unit: 0, gate: "f", playing: false, shape: null };
let content, stream, pad, strip, updateUnit, turns = Promise.resolve();

// ---- the model

// Runs the model on until there is a frame for a step. A new stroke makes what an older one still wanted void.
function reach(step) {
  const frames = state.frames, directions = state.directions;
  turns = turns.then(async () => {
    while (state.frames === frames && frames.length <= Math.min(step, directions.length - 1)) {
      const began = performance.now();
      const outputs = await stream.push(directions[frames.length]);
      times.push(performance.now() - began);
      if (state.frames === frames) frames.push(outputs);
    }
  }).catch(failed);
  return turns;
}
const times = [];

async function goTo(step) {
  step = Math.max(-1, Math.min(step, state.directions.length - 1));
  const frames = state.frames;
  await reach(step);
  if (state.frames !== frames) return;
  state.cursor = Math.min(step, frames.length - 1);
  show();
}

async function begin({ start, directions, shape = null }) {
  Object.assign(state, { start, directions, shape, frames: [], cursor: -1 });
  turns = turns.then(() => stream.reset());
  await turns;
}

// Reads the stroke again from its start, with what now acts on the gates.
function readAgain() {
  const step = state.cursor;
  Object.assign(state, { frames: [], cursor: -1 });
  turns = turns.then(() => stream.reset());
  return goTo(step);
}

function turn() {
  const most = stream.units - 1, [first, last] = ["turned-first", "turned-last"].map((id) =>
    Math.max(0, Math.min(most, Math.round(Number(byId(id).value)))));
  stream.leave();
  for (const row of byId("turned").children) {
    const [scale, shift] = [...row.querySelectorAll("input")].map((one) => Number(one.value));
    row.classList.toggle("acts", scale !== 1 || shift !== 0);
    row.querySelector("output").textContent = `${digits(scale)} · ${row.dataset.gate} ${shift < 0 ? "−" : "+"} ${digits(Math.abs(shift))}`;
    if (first <= last) stream.act(row.dataset.gate, scale, shift, first, last);
  }
  return readAgain();
}

const isTurned = () => byId("turned").querySelector(".acts") !== null;

// ---- what is shown

function limitOf(unit) { return content.limits[unit]; }

function meeting(step) {
  const { frames, unit, directions } = state;
  const at = (place, gate) => (place < 0 || place >= frames.length ? 0 : frames[place][gate][unit]);
  const now = Object.fromEntries(GATES.map((gate) => [gate, at(step, gate)]));
  now.cBefore = at(step - 1, "c");
  now.kept = now.f * now.cBefore;
  now.written = now.i * now.g;
  now.squashed = Math.tanh(now.c);
  now.x = step < 0 ? [0, 0] : directions[step];
  return now;
}

// Pipes and valves follow the numbers softly, unless the reader wants no motion.
const eased = {};
let lastTime = 0, target = null;
function animate(time) {
  const share = calm.matches ? 1 : 1 - Math.exp(-(time - lastTime) / 55);
  lastTime = time;
  let moving = false;
  for (const [name, value] of Object.entries(target)) {
    if (name === "x") continue;
    const gap = value - (eased[name] ?? 0);
    eased[name] = Math.abs(gap) < 1e-3 ? value : (eased[name] ?? 0) + share * gap;
    moving ||= eased[name] !== value;
  }
  updateUnit(eased, target, limitOf(state.unit));
  animate.pending = moving ? requestAnimationFrame(animate) : 0;
}

function show() {
  const { cursor, frames, directions, unit, gate } = state, count = directions.length;
  target = meeting(cursor);
  if (!animate.pending) { lastTime = performance.now() - 16; animate.pending = requestAnimationFrame(animate); }

  const scale = gate === "c" ? limitOf(unit) : 1;
  pad.paint(state, cursor + 1, (step) => (frames[step] ? css(gate, frames[step][gate][unit], scale) : "transparent"));
  strip.paint({ ...state, limits: content.limits });
  byId("invitation").hidden = count > 0;

  const guess = cursor < 0 ? null : frames[cursor][content.output];
  const best = guess ? guess.indexOf(Math.max(...guess)) : -1;
  [...byId("guesses").children].forEach((row, place) => {
    const share = guess ? guess[place] : 0;
    row.style.setProperty("--share", share);
    row.classList.toggle("best", place === best);
    row.querySelector("output").textContent = guess ? `${Math.round(100 * share)} %` : "";
    row.querySelector("button").setAttribute("aria-pressed", content.strokes[place].shape === state.shape);
  });

  byId("slider").max = Math.max(0, count - 1);
  byId("slider").value = Math.max(0, cursor);
  byId("place").textContent = count ? `step ${cursor + 1} of ${count}` : "no step yet";
  byId("unit-now").textContent = `unit ${unit}`;
  const now = target, percent = (value) => `${Math.round(100 * value)} %`;
  byId("drawing-title").textContent = `Unit ${unit}, step ${cursor + 1}: ` +
    GATES.map((one) => `${one} ${digits(now[one], 3)}`).join(", ");
  byId("said").textContent = cursor < 0 ? "Before the first step the memory is empty." :
    `It keeps ${percent(now.f)} of its memory of ${digits(now.cBefore)}, lets in ${percent(now.i)} of the new value ` +
    `${digits(now.g)}, and shows ${percent(now.o)} of what it now holds.`;
  const [factor, offset] = ["scale", "shift"].map((kind) => stream.numbersOf("c", kind)[unit]);
  const sum = `${digits(now.f)} · ${digits(now.cBefore)} + ${digits(now.i)} · ${digits(now.g)}`;
  byId("equation").textContent = cursor < 0 ? " " : factor === 1 && offset === 0 ?
    `c = f · c′ + i · g = ${sum} = ${digits(now.c)}` :
    `c = ${digits(factor)} · (f · c′ + i · g) + ${digits(offset)} = ${digits(factor)} · (${sum}) + ${digits(offset)} = ${digits(now.c)}`;
  document.documentElement.dataset.playing = state.playing ? "yes" : "no";
  tellFacts();
}

function showGate() {
  for (const button of byId("gates").children) button.setAttribute("aria-pressed", button.value === state.gate);
  byId("meaning").textContent = MEANINGS[state.gate];
  Strip.legend(byId("scale"), state.gate);
  const ends = state.gate === "c" ? ["below 0", "above 0"] : isSigned(state.gate) ? ["−1", "1"] : ["0 shut", "1 open"];
  byId("low").textContent = ends[0];
  byId("high").textContent = ends[1];
}

function tellFacts() {
  if (!times.length) return;
  const middle = times.slice(-200).sort((a, b) => a - b)[Math.floor(Math.min(times.length, 200) / 2)];
  byId("facts").textContent = `LiteRT.js runs one file of ${Math.round(stream.size / 1024)} KB, float32, on this machine: ` +
    `${middle.toFixed(1)} ms a step.`;
  const stroke = content.strokes.find((one) => one.shape === state.shape);
  if (isTurned()) byId("agrees").textContent = "";
  else if (stroke && state.frames.length === stroke.directions.length) {
    let most = 0;
    stroke.expected.forEach((row, step) => row.forEach((value, place) => {
      most = Math.max(most, Math.abs(value - state.frames[step][content.output][place]));
    }));
    byId("agrees").textContent = `On this ${state.shape} its guesses differ from the Keras model's by at most ${most.toExponential(0).replace("e-", "·10^−").replace(/\^(−\d+)/, (_, n) => [...n].map((d) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["−0123456789".indexOf(d)]).join(""))}.`;
  }
}

// ---- playing

let clock = 0, due = 0;
function play() {
  if (!state.directions.length) return;
  if (state.cursor >= state.directions.length - 1) state.cursor = -1;
  state.playing = true;
  due = performance.now();
  byId("play").textContent = "Pause";
  cancelAnimationFrame(clock);
  clock = requestAnimationFrame(tick);
  show();
}

function pause() {
  state.playing = false;
  cancelAnimationFrame(clock);
  byId("play").textContent = "Play";
  show();
}

async function tick(time) {
  if (!state.playing) return;
  if (time >= due) {
    due = Math.max(due + 1000 / STEPS_A_SECOND, time);
    await goTo(state.cursor + 1);
    if (state.cursor >= state.directions.length - 1) return pause();
  }
  if (state.playing) clock = requestAnimationFrame(tick);
}

async function choose(place, run = true) {
  pause();
  await begin(content.strokes[place]);
  if (calm.matches || !run) return goTo(state.directions.length - 1);
  play();
}

// ---- controls

function step(by) {
  pause();
  return goTo(state.cursor + by);
}

function chooseUnit(unit) {
  state.unit = unit;
  show();
}

function nextUnit(by) {
  const place = content.order.indexOf(state.unit);
  chooseUnit(content.order[(place + by + content.order.length) % content.order.length]);
}

function chooseGate(gate) {
  state.gate = gate;
  showGate();
  show();
}

function listen() {
  byId("play").onclick = () => (state.playing ? pause() : play());
  byId("first").onclick = () => step(-state.cursor);
  byId("before").onclick = () => step(-1);
  byId("after").onclick = () => step(1);
  byId("slider").oninput = (event) => { pause(); goTo(Number(event.target.value)); };
  byId("unit-before").onclick = () => nextUnit(-1);
  byId("unit-after").onclick = () => nextUnit(1);
  const keys = {
    " ": () => byId("play").click(), ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => nextUnit(-1),
    ArrowDown: () => nextUnit(1), Home: () => step(-state.cursor), End: () => step(state.directions.length),
    ...Object.fromEntries(GATES.map((gate) => [gate, () => chooseGate(gate)])),
    ...Object.fromEntries(content.strokes.map((_, place) => [String(place + 1), () => choose(place)])),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    if (event.target.closest(".turned input")) return;
    // Space on a button presses it, as everywhere.
    if (event.key === " " && event.target.closest("button")) return;
    event.preventDefault();
    keys[event.key]();
  });
  const redraw = () => { updateUnit = drawUnit(byId("drawing"), narrow.matches); show(); };
  narrow.addEventListener("change", redraw);
  new ResizeObserver(() => show()).observe(byId("strip"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
}

function fillLists() {
  content.strokes.forEach(({ shape, start, directions }, place) => {
    const row = document.createElement("li"), button = document.createElement("button");
    let [x, y] = start;
    const path = [[x, y], ...directions.map(([dx, dy]) => [(x += content.step * dx), (y += content.step * dy)])];
    const [left, top] = [0, 1].map((k) => Math.min(...path.map((one) => one[k])));
    const [wide, high] = [0, 1].map((k) => Math.max(...path.map((one) => one[k])) - [left, top][k]);
    const zoom = 20 / Math.max(wide, high);
    const points = path.map(([px, py]) => `${(12 + zoom * (px - left - wide / 2)).toFixed(1)} ${(12 + zoom * (py - top - high / 2)).toFixed(1)}`).join(" L ");
    button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M ${points}"/></svg><span class="what"></span><span class="track"><span></span></span><output></output>`;
    button.querySelector(".what").textContent = shape;
    button.title = `Watch it drawn (${place + 1})`;
    button.onclick = () => choose(place);
    row.append(button);
    byId("guesses").append(row);
  });
  for (const gate of GATES) {
    const button = document.createElement("button");
    Object.assign(button, { value: gate, textContent: gate, title: MEANINGS[gate], onclick: () => chooseGate(gate) });
    byId("gates").append(button);
  }
  for (const gate of GATES) {
    const row = document.createElement("li");
    row.dataset.gate = gate;
    row.innerHTML = `<b title="${MEANINGS[gate]}">${gate}</b>` +
      `<input type="range" min="0" max="2" step="0.05" value="1" aria-label="Scale of ${gate}">` +
      `<input type="range" min="-1" max="1" step="0.05" value="0" aria-label="Shift of ${gate}"><output></output>`;
    byId("turned").append(row);
  }
  byId("turned-first").max = byId("turned-last").max = byId("turned-last").value = stream.units - 1;
  document.querySelector(".turned").addEventListener("input", () => { pause(); turn(); });
  byId("untouched").onclick = () => {
    for (const [place, one] of byId("turned").querySelectorAll("input").entries()) one.value = 1 - (place % 2);
    pause();
    turn();
  };
  byId("units").textContent = content.order.length;
}

function failed(error) {
  byId("failed").hidden = false;
  byId("failed").textContent = `The model could not run: ${error.message ?? error}`;
  console.error(error);
}

async function main() {
  content = await (await fetch("demonstration.json")).json();
  stream = await Stream.load("step.tflite", "litert/wasm/");
  state.unit = content.unit;
  fillLists();
  turn();
  pad = new Pad(byId("pad"), content.step, content.longest, {
    begin: (start) => { pause(); begin({ start, directions: [] }).then(show); },
    draw: (directions) => { state.directions.push(...directions); goTo(state.directions.length - 1); },
    end: show,
  });
  strip = new Strip(byId("strip"), content.order, (at, unit) => {
    pause();
    if (unit !== null) state.unit = unit;
    goTo(at);
  });
  updateUnit = drawUnit(byId("drawing"), narrow.matches);
  showGate();
  listen();
  show();
  document.documentElement.dataset.ready = "yes";
  // ?still: stand at the end of the first stroke, for pictures of the page.
  await choose(content.first, !new URLSearchParams(location.search).has("still"));
}

// For the tests: a stroke of any steps, run to its end.
window.demonstration = {
  state, play, pause, goTo, chooseUnit, chooseGate,
  async run(directions) {
    pause();
    await begin({ start: [0.5, 0.5], directions });
    await goTo(directions.length - 1);
    return state.frames.map((frame) => Object.fromEntries(Object.entries(frame).map(([name, values]) => [name, [...values]])));
  },
};

main().catch(failed);
