"use strict";

const MARKS = ["", "✓", "≠", "✗"]; // not judged, right, wrong class, wrong box
const MARK_COLORS = ["", "#7ee2a8", "#ffc36b", "#ff8a80"];
const MAX_ACTIONS = 5; // of a person

/**
 * Draws boxes and what the persons do on a transparent canvas above a picture.
 *
 * The canvas covers the picture exactly; positions are fractions of it.
 */
class BoxCanvas {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.placed = []; // where labels stand
    this.shown = []; // what was drawn last, boxes in pixels of the page from the canvas' corner
  }

  /** Empties the canvas, and fits it to its place on the page. */
  clear() {
    const { canvas, context } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    this.shown = [];
    this.placed = [];
  }

  /**
   * Draws persons: [{name, color, box, isChosen, actions: [{name, color, score, status}]}].
   *
   * Labels keep off one another where there is room.
   */
  draw(persons) {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    const size = Math.max(11, Math.round(0.026 * Math.min(width, height)));
    for (const person of persons) {
      const box = person.box.map((value, i) => value * (i % 2 ? height : width));
      this.shown.push({ name: person.name, box });
      this.strokeBox(box, person.color, person.isChosen ? 4 : 2, []);
    }
    persons.forEach((person, i) => {
      this.drawLabel(person, this.shown[i].box, size, width, height);
    });
  }

  /** Draws the persons of the ground truth: [{box, name, isMissed}]. */
  drawTruth(persons) {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    for (const person of persons) {
      const box = person.box.map((value, i) => value * (i % 2 ? height : width));
      const color = person.isMissed ? MARK_COLORS[3] : "#ffffff";
      this.strokeBox(box, color, 1.5, [6, 4]);
      this.context.font = "12px system-ui, sans-serif";
      const room = this.context.measureText(person.name).width + 8;
      const [left, top] = this.place(box, room, 17, width, height);
      this.context.fillStyle = "rgba(15, 18, 24, 0.8)";
      this.context.fillRect(left, top, room, 17);
      this.context.fillStyle = color;
      this.context.fillText(person.name, left + 4, top + 13);
    }
  }

  /** Chooses the place of a label, and keeps it free of the labels after it. */
  place(box, panel, tall, width, height) {
    const [x, y] = choosePlace(box, panel, tall, this.placed, width, height);
    this.placed.push([x, y, x + panel, y + tall]);
    return [x, y];
  }

  strokeBox([x1, y1, x2, y2], color, line, dash) {
    const { context } = this;
    context.setLineDash(dash);
    context.lineWidth = line + 2;
    context.strokeStyle = "rgba(10, 12, 16, 0.55)";
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.lineWidth = line;
    context.strokeStyle = color;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
  }

  drawLabel(person, box, size, width, height) {
    const { context } = this;
    const actions = person.actions.slice(0, width < 480 ? 2 : MAX_ACTIONS);
    const step = Math.round(1.45 * size);
    const texts = actions.map((one) => `${MARKS[one.status]} ${one.name}`.trim());
    context.font = `${size}px system-ui, sans-serif`;
    const score = context.measureText("0.00").width;
    const widths = texts.map((text) => context.measureText(text).width + score + 3.2 * size);
    context.font = `650 ${size}px system-ui, sans-serif`;
    const panel = Math.ceil(Math.max(context.measureText(person.name).width + size, ...widths, 0));
    const tall = step * (1 + actions.length);
    const [x, y] = this.place(box, panel, tall, width, height);
    context.fillStyle = "rgba(20, 22, 28, 0.78)";
    context.fillRect(x, y, panel, tall);
    context.fillStyle = person.color;
    context.fillRect(x, y, panel, step);
    context.fillStyle = "#0a0c10";
    context.fillText(person.name, x + size / 2, y + 0.72 * step);
    context.font = `${size}px system-ui, sans-serif`;
    actions.forEach((action, i) => {
      const baseline = y + step * (i + 1) + 0.72 * step;
      context.fillStyle = action.color;
      context.fillRect(x + size / 2, baseline - 0.62 * size, 0.6 * size, 0.6 * size);
      context.fillStyle = action.status ? MARK_COLORS[action.status] : "#ffffff";
      context.fillText(texts[i], x + 1.5 * size, baseline);
      context.fillStyle = "#cdd2dc";
      context.fillText(action.score.toFixed(2), x + panel - score - size / 2, baseline);
    });
  }
}

/** Chooses where a label stands: above, below, beside or in its box, off the labels before it. */
function choosePlace([x1, y1, x2, y2], panel, tall, placed, width, height) {
  const inside = (value, room, side) => Math.max(0, Math.min(value, side - room));
  const places = [
    [x1 - 1, y1 - tall - 2], [x1 - 1, y2 + 2], [x2 + 2, y1], [x1 - panel - 2, y1], [x1 + 2, y1 + 2],
  ];
  const fits = ([x, y]) => x >= 0 && y >= 0 && x + panel <= width && y + tall <= height;
  const isFree = ([x, y]) => placed.every(
    (other) => x >= other[2] || y >= other[3] || x + panel <= other[0] || y + tall <= other[1],
  );
  const shifted = places.map(([x, y], i) => [i < 2 ? inside(x, panel, width) : x, y]);
  const chosen = shifted.find((place) => fits(place) && isFree(place)) ?? places[4];
  return [inside(chosen[0], panel, width), inside(chosen[1], tall, height)];
}
