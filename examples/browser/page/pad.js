// The pad: a pointer's way becomes steps of equal length, and the stroke takes the colours of the chosen gate.

const PAPER_STEPS = 25;

export class Pad {
  // begin(start) at pointer down, draw(directions) as it moves, end() when it lifts. Places run from 0 to 1.
  constructor(canvas, stepLength, longest, { begin, draw, end }) {
    Object.assign(this, { canvas, stepLength, longest });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pen = this.place(event);
      this.taken = 0;
      begin(this.pen);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.pen) return;
      const directions = (event.getCoalescedEvents?.() ?? [event]).concat(event).flatMap((one) => this.walk(this.place(one)));
      if (directions.length) draw(directions);
    });
    for (const kind of ["pointerup", "pointercancel"])
      canvas.addEventListener(kind, () => { if (this.pen) { this.pen = null; end(); } });
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  // The steps that fit between the pen and a point: what strokes.steps does in Python.
  walk(point) {
    const directions = [];
    for (;;) {
      const way = [point[0] - this.pen[0], point[1] - this.pen[1]], distance = Math.hypot(...way);
      if (!(distance >= this.stepLength) || this.taken >= this.longest) return directions;
      const direction = way.map((one) => one / distance);
      this.pen = this.pen.map((one, at) => one + this.stepLength * direction[at]);
      directions.push(direction);
      this.taken++;
    }
  }

  // directions: all steps; shown: how many of them are drawn; colourOf(step): a CSS colour.
  paint({ start, directions }, shown, colourOf) {
    const { canvas } = this, ratio = window.devicePixelRatio || 1, side = canvas.clientWidth;
    if (canvas.width !== Math.round(side * ratio)) canvas.width = canvas.height = Math.round(side * ratio);
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.setTransform(ratio * side, 0, 0, ratio * side, 0, 0);
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = style.getPropertyValue("--dot");
    for (let x = 1; x < PAPER_STEPS; x++)
      for (let y = 1; y < PAPER_STEPS; y++) { pen.beginPath(); pen.arc(x / PAPER_STEPS, y / PAPER_STEPS, 0.0022, 0, 7); pen.fill(); }
    const places = [start];
    for (const [dx, dy] of directions) {
      const [x, y] = places.at(-1);
      places.push([x + this.stepLength * dx, y + this.stepLength * dy]);
    }
    pen.lineCap = pen.lineJoin = "round";
    const line = (from, to, width, colour) => {
      if (to <= from) return;
      pen.beginPath();
      pen.moveTo(...places[from]);
      for (let at = from + 1; at <= to; at++) pen.lineTo(...places[at]);
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.stroke();
    };
    line(0, directions.length, 0.008, style.getPropertyValue("--ahead"));
    line(0, shown, 0.036, style.getPropertyValue("--casing"));
    for (let at = 0; at < shown; at++) line(at, at + 1, 0.026, colourOf(at));
    if (shown) {
      pen.beginPath();
      pen.arc(...places[shown], 0.021, 0, 7);
      pen.fillStyle = style.getPropertyValue("--tip");
      pen.fill();
    }
  }
}
