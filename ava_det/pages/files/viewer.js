"use strict";

const STATUS_NAMES = ["", "right", "wrong class", "wrong box", "missed"];
const STATUS_COLORS = ["", "#3fb27f", "#e8a33d", "#e2574c", "#9a6bd6"];
const byId = (id) => document.getElementById(id);

/** The page of one video: joins the player, the boxes, the timeline and the lists. */
class Viewer {
  constructor(content) {
    this.content = content;
    this.detections = new Detections(content);
    this.state = new PageState();
    this.items = new ItemMaker(content.actions, content.personColors);
    this.actions = this.items.actions;
    this.filter = { threshold: 0, hidden: this.state.hidden };
    this.boxes = new BoxCanvas(byId("boxes"));
    this.timeline = new Timeline(byId("timeline"), content.duration, (seconds, item) => {
      if (item) this.choosePerson(item.person);
      this.seek(seconds);
    }, ([start, end]) => {
      this.state.view = end - start < content.duration - 0.01 ? [start, end] : null;
      this.state.write();
    });
    this.list = new EventsList(byId("list"), byId("more"), (item) => {
      this.choosePerson(item.person);
      this.seek(item.start);
    });
    this.player = new Player(
      byId("video"), content, (seconds) => this.showTime(seconds), () => this.showPlayer(),
    );
    this.makeStrip();
    this.makeFilter();
    this.listenToControls();
    this.listenToKeys();
    listenToTheme(byId("theme"), () => this.timeline.redraw());
    new ResizeObserver(() => this.drawBoxes()).observe(byId("boxes"));
    window.addEventListener("hashchange", () => {
      this.state.read();
      this.applyState();
    });
    this.applyState();
    this.showPlayer();
  }

  /** Shows what the address says. */
  applyState() {
    const { state } = this;
    this.filter.hidden = state.hidden;
    this.filter.threshold = state.threshold ?? 0;
    byId("threshold").value = this.filter.threshold;
    byId("search").value = state.search;
    byId("kind").value = state.list;
    for (const box of byId("classes").querySelectorAll("input")) {
      box.checked = !state.hidden.has(Number(box.value));
    }
    if (state.view) this.timeline.setView(...state.view);
    this.applyFilter();
    this.seek(state.time ?? 0);
    this.showTime(state.time ?? 0);
  }

  seek(seconds) {
    this.state.time = seconds;
    this.state.write();
    this.player.seek(seconds);
  }

  choosePerson(person) {
    this.state.person = person === this.state.person ? null : person;
    this.state.write();
    this.drawBoxes();
  }

  /** Updates what depends on the time. */
  showTime(seconds) {
    this.time = seconds;
    this.drawBoxes();
    this.timeline.setTime(seconds, this.player.isPlaying);
    this.list.setTime(seconds);
    byId("time").textContent = `${formatTime(seconds)} / ${formatTime(this.content.duration)}`;
    const slider = byId("timeline");
    slider.setAttribute("aria-valuenow", seconds.toFixed(1));
    this.markThumbnail(seconds);
    if (!this.player.isPlaying) {
      slider.setAttribute("aria-valuetext", this.describe(seconds));
      this.state.time = seconds;
      this.state.write();
    }
  }

  /** Says in words who does what, for a screen reader. */
  describe(seconds) {
    const parts = this.persons(seconds).map((person) => {
      const actions = person.actions.map((one) => `${one.name} ${one.score.toFixed(2)}`);
      return `${person.name}: ${actions.join(", ") || "no action shown"}`;
    });
    return `${formatTime(seconds)}. ${parts.join(". ") || "nobody"}`;
  }

  persons(seconds) {
    return this.detections.personsAt(seconds).map(({ row, track, box }) => ({
      name: track ? `#${track}` : "person",
      color: this.items.personColor(track),
      box,
      isChosen: this.state.person === `#${track}`,
      actions: this.detections.actionsOf(row, this.filter).map((one) => ({
        ...this.actions.get(one.id), score: one.score, status: one.status,
      })),
    }));
  }

  drawBoxes() {
    this.boxes.clear();
    if (byId("show-boxes").checked) this.boxes.draw(this.persons(this.time ?? 0));
    if (byId("truth")?.checked) this.drawTruth();
  }

  drawTruth() {
    const { truth } = this.content;
    const near = truth.times.findIndex((time) => Math.abs(time - this.time) <= 0.5);
    if (near < 0) return;
    const persons = truth.persons[near].map(([track, box, actions]) => {
      const names = actions.map(([id, isFound]) => {
        const name = this.actions.get(id).name;
        return isFound ? name : `${name} (missed)`;
      });
      const isMissed = actions.some(([, isFound]) => !isFound);
      return { box, isMissed, name: `truth: ${names.join(", ") || "no action"}` };
    });
    this.boxes.drawTruth(persons);
  }

  /** Updates the timeline and the list after a change of the filter. */
  applyFilter() {
    const { threshold, hidden } = this.filter;
    const isFound = makeSearch(byId("search").value);
    const shown = this.segments().filter((one) => one.max >= threshold && !hidden.has(one.action));
    const truth = this.truthItems().filter((one) => !hidden.has(one.action));
    this.timeline.setItems([...shown, ...truth].filter(isFound));
    const kind = byId("kind").value;
    const source = kind === "segments" ? shown : this.runs(kind).filter((o) => !hidden.has(o.action));
    const items = source.filter(isFound);
    this.list.setItems(items);
    byId("count").textContent = `${items.length.toLocaleString("en")} ${kind}`;
    byId("shown-threshold").textContent = threshold.toFixed(2);
    this.drawBoxes();
    this.list.setTime(this.time ?? 0);
  }

  segments() {
    this.madeSegments ??= this.content.segments.map(([track, id, start, end, mean, max]) => ({
      ...this.items.make(track, id, start, end),
      max,
      note: `${end > start ? `${formatTime(end - start)} · ` : ""}${mean.toFixed(2)}`,
    }));
    return this.madeSegments;
  }

  /** Returns what compares with the ground truth: right, wrong class, wrong box or missed. */
  runs(kind) {
    const status = STATUS_NAMES.indexOf(kind);
    return this.content.truth.runs.filter((run) => run[0] === status).map((run) => ({
      ...this.items.make(run[1], run[2], run[3], run[4]),
      ...(status === 4 ? { person: `truth ${run[1]}` } : {}),
      note: kind,
      color: STATUS_COLORS[status],
    }));
  }

  truthItems() {
    if (!this.content.truth || !byId("truth").checked) return [];
    return this.content.truth.segments.map(([track, id, start, end]) => ({
      ...this.items.make(track, id, start, end),
      key: `truth ${track}`, name: `t ${track}`, nameColor: "#98a3b5", person: null,
      isTruth: true,
    }));
  }

  makeStrip() {
    const strip = byId("strip");
    this.thumbnails = this.content.thumbnails.map(([seconds, picture]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `go to ${formatTime(seconds)}`);
      const image = document.createElement("img");
      image.src = picture;
      image.alt = "";
      const label = document.createElement("span");
      label.textContent = formatTime(seconds);
      button.append(image, label);
      button.addEventListener("click", () => this.seek(seconds));
      strip.append(button);
      return { seconds, button };
    });
    strip.hidden = !this.thumbnails.length;
  }

  markThumbnail(seconds) {
    let current = this.thumbnails[0];
    for (const one of this.thumbnails) if (one.seconds <= seconds + 1e-3) current = one;
    if (current === this.current) return;
    this.current?.button.classList.remove("now");
    current?.button.classList.add("now");
    this.current = current;
  }

  makeFilter() {
    const counts = new Map();
    for (const id of this.content.actionIds) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const action of this.actions.values()) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = action.id;
      box.checked = true;
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.style.background = action.color;
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = action.name;
      const count = document.createElement("span");
      count.className = "count";
      count.textContent = (counts.get(action.id) ?? 0).toLocaleString("en");
      label.append(box, chip, name, count);
      box.addEventListener("change", () => this.setHidden());
      byId("classes").append(label);
    }
    byId("all").addEventListener("click", () => this.checkAll(true));
    byId("none").addEventListener("click", () => this.checkAll(false));
  }

  checkAll(isChecked) {
    for (const box of byId("classes").querySelectorAll("input")) box.checked = isChecked;
    this.setHidden();
  }

  setHidden() {
    const boxes = [...byId("classes").querySelectorAll("input")];
    this.filter.hidden = new Set(boxes.filter((one) => !one.checked).map((o) => Number(o.value)));
    this.state.hidden = this.filter.hidden;
    this.state.write();
    this.applyFilter();
  }

  listenToControls() {
    const { state, timeline, player } = this;
    byId("play").addEventListener("click", () => player.toggle());
    byId("screen").addEventListener("click", (event) => {
      if (event.target === byId("boxes")) player.toggle();
    });
    byId("back").addEventListener("click", () => player.step(-1));
    byId("forward").addEventListener("click", () => player.step(1));
    byId("speed").addEventListener("change", (event) => {
      byId("video").playbackRate = Number(event.target.value);
    });
    byId("show-boxes").addEventListener("change", () => this.drawBoxes());
    byId("truth")?.addEventListener("change", () => this.applyFilter());
    byId("threshold").addEventListener("input", (event) => {
      this.filter.threshold = state.threshold = Number(event.target.value);
      state.write();
      this.applyFilter();
    });
    byId("search").addEventListener("input", (event) => {
      state.search = event.target.value;
      state.write();
      this.applyFilter();
    });
    byId("kind").addEventListener("change", (event) => {
      state.list = event.target.value;
      state.write();
      this.applyFilter();
    });
    byId("zoom-in").addEventListener("click", () => timeline.zoom(2));
    byId("zoom-out").addEventListener("click", () => timeline.zoom(0.5));
    byId("fit").addEventListener("click", () => timeline.moveView(0, this.content.duration));
    byId("file").addEventListener("change", (event) => {
      if (event.target.files[0]) player.setFile(event.target.files[0]);
    });
  }

  listenToKeys() {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isText = event.target.matches("input[type=search], input[type=range], select");
      const isButton = event.target.matches("button, input, summary, a");
      if (isText || (event.key === " " && isButton)) return;
      const { player } = this;
      const far = event.shiftKey ? 10 : 1;
      const actions = {
        " ": () => player.toggle(),
        ArrowLeft: () => this.seek(this.time - far),
        ArrowRight: () => this.seek(this.time + far),
        ArrowUp: () => this.seekSegment(-1),
        ArrowDown: () => this.seekSegment(1),
        Home: () => this.seek(0),
        End: () => this.seek(this.content.duration),
        ",": () => player.step(-1),
        ".": () => player.step(1),
        "/": () => byId("search").focus(),
      };
      if (!(event.key in actions)) return;
      event.preventDefault();
      actions[event.key]();
    });
  }

  /** Goes to the start of the next item of the list, or for -1 of the one before. */
  seekSegment(direction) {
    const starts = this.list.items.map((item) => item.start);
    const later = starts.filter((start) => (start - this.time) * direction > 0.01);
    if (later.length) this.seek(direction > 0 ? Math.min(...later) : Math.max(...later));
  }

  showPlayer() {
    const { player, content } = this;
    byId("play").textContent = player.isPlaying ? "Pause" : "Play";
    byId("notice").hidden = !player.isWithoutVideo;
    byId("notice-text").textContent = content.source
      ? `${content.sourceName} is not where it was beside this page, or this browser cannot play it.`
      : "This video is no file that a browser plays. The boxes are shown without it.";
    if (!player.isPlaying) this.showTime(player.time);
  }
}

readPageData().then((content) => {
  window.viewer = new Viewer(content);
  performance.mark("ready");
}).catch((error) => {
  byId("notice").hidden = false;
  byId("notice-text").textContent = `This page cannot be shown here: ${error.message}`;
  throw error;
});
