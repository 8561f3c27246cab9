// Every unit at every step: a row a unit, a column a step; above, the way the hand went.

import { css, rgb } from "./colours.js";

const ARROWS = 22, MOST = 128, FEWEST = 40;

export class Strip {
  constructor(canvas, order, choose) {
    Object.assign(this, { canvas, order });
    const pick = (event) => {
      const box = canvas.getBoundingClientRect();
      const step = Math.floor((event.clientX - box.left) / box.width * this.columns);
      const row = Math.floor((event.clientY - box.top - ARROWS) / (box.height - ARROWS) * order.length);
      choose(step, row < 0 ? null : order[Math.min(row, order.length - 1)]);
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); this.held = true; pick(event); });
    canvas.addEventListener("pointermove", (event) => { if (this.held) pick(event); });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { this.held = false; });
  }

  paint({ directions, frames, gate, unit, cursor, limits }) {
    const { canvas, order } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.columns = Math.min(MOST, Math.max(FEWEST, directions.length));
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    const column = width / this.columns, row = (height - ARROWS) / order.length;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);

    pen.strokeStyle = style.getPropertyValue("--arrow");
    pen.lineWidth = 1.3;
    pen.lineCap = "round";
    const every = Math.ceil(9 / column), long = Math.min(6.5, every * column * 0.5);
    directions.forEach(([dx, dy], step) => {
      if (step % every) return;
      const x = (step + 0.5) * column, y = ARROWS / 2 - 1, [tx, ty] = [x + long * dx, y + long * dy];
      pen.globalAlpha = step <= cursor ? 1 : 0.35;
      pen.beginPath();
      pen.moveTo(x - long * dx, y - long * dy);
      pen.lineTo(tx, ty);
      pen.moveTo(tx - 3.4 * (dx * 0.8 - dy * 0.6), ty - 3.4 * (dy * 0.8 + dx * 0.6));
      pen.lineTo(tx, ty);
      pen.lineTo(tx - 3.4 * (dx * 0.8 + dy * 0.6), ty - 3.4 * (dy * 0.8 - dx * 0.6));
      pen.stroke();
    });
    pen.globalAlpha = 1;

    // One pixel a value, enlarged without smoothing.
    if (frames.length) {
      const small = this.small ??= document.createElement("canvas");
      small.width = frames.length;
      small.height = order.length;
      const picture = new ImageData(frames.length, order.length);
      frames.forEach((frame, step) => order.forEach((which, place) => {
        const at = 4 * (place * frames.length + step), shown = step <= cursor;
        picture.data.set([...rgb(gate, frame[gate][which], gate === "c" ? limits[which] : 1), shown ? 255 : 90], at);
      }));
      small.getContext("2d").putImageData(picture, 0, 0);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, ARROWS, frames.length * column, height - ARROWS);
    }
    const place = order.indexOf(unit);
    pen.strokeStyle = style.getPropertyValue("--mark");
    pen.lineWidth = 2;
    pen.strokeRect(1, ARROWS + place * row - 1, width - 2, row + 2);
    if (cursor >= 0) pen.strokeRect(cursor * column - 1, ARROWS + 1, column + 2, height - ARROWS - 2);
  }

  static legend(canvas, gate) {
    const pen = canvas.getContext("2d"), signed = "gch".includes(gate);
    for (let x = 0; x < canvas.width; x++) {
      pen.fillStyle = css(gate, signed ? (2 * x) / (canvas.width - 1) - 1 : x / (canvas.width - 1));
      pen.fillRect(x, 0, 1, 1);
    }
  }
}
