"use strict";

const RULER = 24; // pixels
const LANE = 16;
const ROW_GAP = 7;
const LABELS = 56; // width of the names of persons
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/**
 * A row for each person who is seen in the visible stretch of time, a bar for each segment.
 *
 * It is one canvas of what is visible, so that ten hours are as quick as a minute. Items are
 * {start, end, key, name, nameColor, title, color, isTruth}; rows are of one key.
 */
class Timeline {
  /**
   * @param root Holds a `canvas`, a `.spacer` and a `.cursor`.
   * @param duration Seconds.
   * @param onSeek Called with seconds and, where a bar was clicked, its item.
   * @param onMove Called with the view after the user has moved or zoomed it.
   */
  constructor(root, duration, onSeek, onMove) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.spacer = root.querySelector(".spacer");
    this.cursor = root.querySelector(".cursor");
    this.duration = Math.max(duration, 0.1);
    this.onSeek = onSeek;
    this.onMove = onMove;
    this.view = [0, this.duration];
    this.items = [];
    this.rows = [];
    this.time = 0;
    this.isAsked = false;
    this.scrolledTo = ""; // names of the persons of a time
    root.addEventListener("scroll", () => this.redraw());
    root.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.listenToPointer();
    new ResizeObserver(() => this.redraw()).observe(root);
  }

  setItems(items) {
    this.items = items;
    this.layOut();
  }

  /** Shows a stretch of time, as near to it as the video allows. */
  setView(start, end) {
    const span = Math.min(Math.max(end - start, 1), this.duration);
    const left = Math.min(Math.max(start, 0), this.duration - span);
    this.view = [left, left + span];
    this.layOut();
  }

  /** Shows a stretch of time that the user asks for. */
  moveView(start, end) {
    this.setView(start, end);
    this.onMove(this.view);
  }

  /** Zooms by a factor, around a time (the cursor by default). */
  zoom(factor, around = this.time) {
    const [start, end] = this.view;
    const fixed = Math.min(Math.max(around, start), end);
    this.moveView(fixed - (fixed - start) / factor, fixed + (end - fixed) / factor);
  }

  /** Moves the cursor, and the view after it when it leaves. */
  setTime(seconds, follow) {
    this.time = seconds;
    const [start, end] = this.view;
    if (follow && (seconds < start || seconds > end)) {
      const span = end - start;
      this.setView(seconds - 0.1 * span, seconds + 0.9 * span);
    }
    this.placeCursor();
    this.showRowsAt(seconds);
  }

  /** Scrolls to those who do something at a time, once for the same persons. */
  showRowsAt(seconds) {
    const isNow = (item) => item.start <= seconds + 1e-3 && seconds <= item.end + 1e-3;
    const rows = this.rows.filter((row) => [...row.lanes.values()].some((lane) => lane.some(isNow)));
    const names = rows.map((row) => row.name).join(" ");
    if (!rows.length || names === this.scrolledTo) return;
    this.scrolledTo = names;
    const { scrollTop, clientHeight } = this.root;
    const bottom = ({ top, lanes }) => top + lanes.size * LANE + ROW_GAP;
    const isSeen = (row) => row.top >= scrollTop + RULER && bottom(row) <= scrollTop + clientHeight;
    if (!rows.some(isSeen)) this.root.scrollTop = rows[0].top - RULER;
  }

  layOut() {
    const [start, end] = this.view;
    const rows = new Map();
    for (const item of this.items) {
      if (item.end < start || item.start > end) continue;
      let row = rows.get(item.key);
      if (!row) {
        row = { name: item.name, color: item.nameColor, isTruth: item.isTruth, lanes: new Map() };
        rows.set(item.key, row);
      }
      const lane = row.lanes.get(item.title);
      if (lane) lane.push(item);
      else row.lanes.set(item.title, [item]);
    }
    let top = RULER;
    this.rows = [...rows.values()];
    for (const row of this.rows) {
      row.top = top;
      top += row.lanes.size * LANE + ROW_GAP;
    }
    this.spacer.style.height = `${top + 4}px`;
    this.redraw();
  }

  redraw() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.paint();
    });
  }

  x(seconds) {
    const [start, end] = this.view;
    return LABELS + ((seconds - start) / (end - start)) * (this.width - LABELS);
  }

  secondsAt(x) {
    const [start, end] = this.view;
    return start + ((x - LABELS) / (this.width - LABELS)) * (end - start);
  }

  paint() {
    const scale = window.devicePixelRatio || 1;
    this.width = this.root.clientWidth;
    const height = this.root.clientHeight;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(this.root);
    this.colors = {
      ground: style.getPropertyValue("--card"),
      line: style.getPropertyValue("--line"),
      text: style.getPropertyValue("--text"),
      quiet: style.getPropertyValue("--quiet"),
    };
    context.clearRect(0, 0, this.width, height);
    const scrolled = this.root.scrollTop;
    this.paintGrid(context, height);
    for (const row of this.rows) {
      const top = row.top - scrolled;
      if (top > height || top + row.lanes.size * LANE + ROW_GAP < RULER) continue;
      this.paintRow(context, row, top);
    }
    this.paintRuler(context);
    this.placeCursor();
  }

  ticks() {
    const [start, end] = this.view;
    const least = ((end - start) * 80) / Math.max(this.width - LABELS, 80);
    const step = STEPS.find((one) => one >= least) ?? 14400;
    const ticks = [];
    for (let i = Math.ceil(start / step); i * step <= end; i++) ticks.push(i * step);
    return ticks;
  }

  paintGrid(context, height) {
    context.fillStyle = this.colors.line;
    for (const tick of this.ticks()) context.fillRect(Math.round(this.x(tick)), RULER, 1, height);
  }

  paintRuler(context) {
    context.fillStyle = this.colors.ground;
    context.fillRect(0, 0, this.width, RULER);
    context.fillStyle = this.colors.line;
    context.fillRect(0, RULER - 1, this.width, 1);
    context.fillStyle = this.colors.quiet;
    context.font = "12px system-ui, sans-serif";
    for (const tick of this.ticks()) {
      const text = formatTime(tick);
      const x = Math.min(this.x(tick) + 3, this.width - context.measureText(text).width - 2);
      context.fillText(text, x, 16);
    }
  }

  paintRow(context, row, top) {
    const tall = row.lanes.size * LANE;
    let y = top;
    for (const lane of row.lanes.values()) {
      for (const item of lane) this.paintBar(context, item, y);
      y += LANE;
    }
    context.fillStyle = this.colors.ground;
    context.fillRect(0, top, LABELS - 4, tall + ROW_GAP);
    context.fillStyle = row.color;
    context.fillRect(6, top + 3, 4, tall - 4);
    context.fillStyle = this.colors.text;
    context.font = "600 12px system-ui, sans-serif";
    context.fillText(row.name, 15, top + 14);
    context.fillStyle = this.colors.line;
    context.fillRect(0, top + tall + 3, this.width, 1);
  }

  paintBar(context, item, y) {
    const left = Math.max(this.x(item.start), LABELS - 2);
    const right = Math.min(this.x(item.end), this.width);
    const width = Math.max(right - left, 3);
    context.fillStyle = item.color;
    if (item.isTruth) {
      context.globalAlpha = 0.3;
      context.fillRect(left, y + 2, width, LANE - 4);
      context.globalAlpha = 1;
      context.strokeStyle = item.color;
      context.strokeRect(left + 0.5, y + 2.5, Math.max(width - 1, 1), LANE - 5);
    } else {
      context.fillRect(left, y + 2, width, LANE - 4);
    }
    if (width < 40) return;
    context.save();
    context.beginPath();
    context.rect(left, y, width - 4, LANE);
    context.clip();
    context.font = "11.5px system-ui, sans-serif";
    context.fillStyle = item.isTruth ? this.colors.text : "#0a0c10";
    context.fillText(item.title, left + 5, y + 12);
    context.restore();
  }

  placeCursor() {
    if (!this.width) return;
    const x = this.x(this.time);
    this.cursor.hidden = x < LABELS - 1 || x > this.width;
    this.cursor.style.transform = `translateX(${x}px)`;
  }

  /** Returns the item at a place on the canvas. */
  itemAt(x, y) {
    const place = y + this.root.scrollTop;
    const row = this.rows.find(
      (one) => place >= one.top && place < one.top + one.lanes.size * LANE,
    );
    if (!row || y < RULER) return undefined;
    const lane = [...row.lanes.values()][Math.floor((place - row.top) / LANE)];
    return lane.find((item) => {
      const left = this.x(item.start);
      return x >= left - 2 && x <= Math.max(this.x(item.end), left + 3) + 2;
    });
  }

  onWheel(event) {
    if (event.ctrlKey || event.metaKey) {
      const around = this.secondsAt(event.clientX - this.root.getBoundingClientRect().left);
      this.zoom(Math.exp(-event.deltaY / 300), around);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const moved = event.deltaX || event.deltaY;
      const shift = this.secondsAt(moved) - this.secondsAt(0);
      this.moveView(this.view[0] + shift, this.view[1] + shift);
    } else {
      return; // the page scrolls
    }
    event.preventDefault();
  }

  /** A click seeks, a drag moves the view. */
  listenToPointer() {
    let from = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = { x: event.clientX, view: [...this.view], isDrag: false };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const moved = event.clientX - from.x;
      from.isDrag ||= Math.abs(moved) > 5;
      if (!from.isDrag) return;
      const span = from.view[1] - from.view[0];
      const shift = (-moved / (this.width - LABELS)) * span;
      this.moveView(from.view[0] + shift, from.view[1] + shift);
    });
    this.canvas.addEventListener("pointercancel", () => { from = null; });
    this.canvas.addEventListener("pointerup", (event) => {
      const isClick = from && !from.isDrag;
      from = null;
      if (!isClick) return;
      const corner = this.root.getBoundingClientRect();
      const x = event.clientX - corner.left;
      const y = event.clientY - corner.top;
      const seconds = Math.min(Math.max(this.secondsAt(x), 0), this.duration);
      this.onSeek(seconds, this.itemAt(x, y));
    });
  }
}
