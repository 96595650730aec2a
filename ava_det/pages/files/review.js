"use strict";

const MARGIN = 1; // seconds that are played before and after a segment
const byId = (id) => document.getElementById(id);
const SIGNS = { undecided: "", accepted: "✓ ", changed: "→ ", rejected: "✗ " };
const NO_FILTER = { threshold: 0, hidden: new Set() };

/** The page on which the segments of one video are reviewed. */
class Reviewer {
  constructor(content) {
    this.content = content;
    this.detections = new Detections(content);
    this.items = new ItemMaker(content.classes, content.personColors);
    this.segments = content.segments.map(([track, id, start, end, mean], place) => ({
      ...this.items.make(track, id, start, end), id: place, track, own: id, mean,
      verdict: "undecided", actionId: null,
    }));
    this.place = null; // of the segment that is asked about
    this.time = 0;
    this.boxes = new BoxCanvas(byId("boxes"));
    this.timeline = new Timeline(byId("timeline"), content.duration, (seconds, item) => {
      if (item) this.choose(item.id);
      else this.player.seek(seconds);
    }, () => {});
    this.list = new EventsList(byId("list"), byId("more"), (item) => this.choose(item.id));
    this.steps = new ReviewSteps(
      location.pathname, (state, answer, step) => this.takeState(state, answer, step),
      (sentence) => { byId("trouble").textContent = sentence; },
    );
    this.picker = new ActionPicker(
      byId("picker"), [...this.items.actions.values()], (id) => this.decide(() => id),
    );
    this.player = new Player(
      byId("video"), content, (seconds) => this.showTime(seconds), () => this.showPlayer(),
    );
    this.makeQuick();
    this.listenToControls();
    this.listenToKeys();
    listenToTheme(byId("theme"), () => this.timeline.redraw());
    new ResizeObserver(() => this.drawBoxes()).observe(byId("boxes"));
    window.addEventListener("focus", () => this.steps.refresh());
    window.addEventListener("hashchange", () => this.chooseByAddress());
    this.showPlayer();
  }

  /** Begins with the segment of the address, or the first on which nothing was decided. */
  async begin() {
    await this.steps.refresh();
    if (!this.chooseByAddress() && this.segments.length) this.choose(this.findUndecided(-1) ?? 0);
  }

  chooseByAddress() {
    const place = Number(/^#segment=(\d+)$/.exec(location.hash)?.[1] ?? 0) - 1;
    if (place < 0 || place >= this.segments.length) return false;
    if (place !== this.place) this.choose(place);
    return true;
  }

  get current() {
    return this.segments[this.place];
  }

  /** Asks about a segment. */
  choose(place) {
    this.place = place;
    history.replaceState(null, "", `#segment=${place + 1}`);
    const { start, end } = this.current;
    const [from, to] = this.timeline.view;
    if (start < from || end > to) {
      const side = Math.max(to - from - (end - start), 0) / 2;
      this.timeline.setView(start - side, end + side);
    }
    this.player.seek(this.player.isPlaying ? start - MARGIN : start);
    this.showCurrent();
    this.showTime(start);
  }

  /** Returns the place of the next segment on which nothing was decided, from the start again. */
  findUndecided(after) {
    const open = this.segments.filter((one) => one.verdict === "undecided").map((one) => one.id);
    return open.find((place) => place > after) ?? open[0];
  }

  /** Goes to the next segment of the list, or for -1 to the one before. */
  move(direction) {
    return this.steps.after(() => {
      const places = this.list.items.map((item) => item.id).filter(
        (place) => (place - this.place) * direction > 0,
      );
      if (places.length) this.choose(direction > 0 ? Math.min(...places) : Math.max(...places));
    });
  }

  /** Asks for another action of the segment. */
  openPicker() {
    return this.steps.after(() => this.current && this.picker.open());
  }

  /** Decides on the segment that is asked about; 0 rejects it. */
  decide(chooseAction) {
    return this.steps.send(() => (this.current ? {
      do: "decide", segment: this.content.first + this.place, action_id: chooseAction(this.current),
    } : null));
  }

  accept() {
    return this.decide((segment) => segment.own);
  }

  reject() {
    return this.decide(() => 0);
  }

  undo() {
    return this.steps.send(() => (this.steps.state.canUndo ? { do: "undo" } : null));
  }

  redo() {
    return this.steps.send(() => (this.steps.state.canRedo ? { do: "redo" } : null));
  }

  /** Shows a state; after a step goes on to what it was about, or to the next segment. */
  takeState(state, answer, step) {
    state.actionIds.forEach((id, place) => this.setVerdict(this.segments[place], id));
    this.showLists();
    byId("bar").max = state.total;
    byId("bar").value = (answer ?? state).decided;
    const here = this.segments.filter((one) => one.verdict !== "undecided").length;
    const whole = state.total > this.segments.length
      ? ` · ${(answer ?? state).decided} of ${state.total} in all videos` : "";
    byId("progress").textContent = `${here} of ${this.segments.length} decided${whole}`;
    byId("undo").disabled = !state.canUndo;
    byId("redo").disabled = !state.canRedo;
    this.showWhatIsLeft(state);
    if (!answer) {
      if (this.current) this.showCurrent();
    } else if (answer.video !== state.video) {
      location.assign(answer.address); // it was undone or redone there
    } else if (step.do !== "decide") {
      this.choose(answer.place);
    } else if (answer.place === this.place) {
      this.choose(this.findUndecided(this.place) ?? this.place);
    } else {
      this.showCurrent(); // the user has gone on meanwhile
    }
  }

  showWhatIsLeft(state) {
    const done = byId("all-done");
    done.replaceChildren();
    if (this.findUndecided(-1) !== undefined) return;
    done.append(this.segments.length ? "All segments of this video are decided. " : "No segment in this video. ");
    if (!state.next) return;
    const link = document.createElement("a");
    link.href = state.next;
    link.textContent = "The next video";
    done.append(link);
  }

  setVerdict(segment, actionId) {
    const action = this.items.actions.get(actionId || segment.own);
    const own = this.items.actions.get(segment.own);
    segment.actionId = actionId;
    segment.verdict = "changed";
    if (actionId === null) segment.verdict = "undecided";
    else if (actionId === 0) segment.verdict = "rejected";
    else if (actionId === segment.own) segment.verdict = "accepted";
    segment.title = action === own ? own.name : `${own.name} → ${action.name}`;
    segment.color = segment.verdict === "rejected" ? "#8a93a3" : action.color;
    const { verdict } = segment;
    segment.note = verdict === "undecided" ? segment.mean.toFixed(2) : `${SIGNS[verdict]}${verdict}`;
  }

  showLists() {
    const isFound = makeSearch(byId("search").value);
    const kind = byId("kind").value;
    const items = this.segments.filter(
      (one) => isFound(one) && (kind === "all" || one.verdict === kind),
    );
    this.timeline.setItems(this.segments.filter(isFound));
    this.list.updateItems(items);
    byId("count").textContent = `${items.length.toLocaleString("en")} segments`;
    this.list.setTime(this.time);
    this.markRows();
  }

  /** Marks the rows of the list by what was decided, and scrolls to the one that is asked about. */
  markRows() {
    const place = this.list.items.findIndex((item) => item.id === this.place);
    while (place >= this.list.rows.length) this.list.showMore();
    for (const row of this.list.rows) {
      row.dataset.verdict = row.item.verdict;
      row.classList.toggle("chosen", row.item.id === this.place);
    }
    this.list.rows[place]?.scrollIntoView({ block: "nearest" });
  }

  showCurrent() {
    const segment = this.current;
    const { start, end } = segment;
    byId("person").textContent = segment.person;
    byId("person").style.background = segment.personColor;
    byId("what").textContent = segment.title;
    byId("what").style.setProperty("--color", segment.color);
    const long = end > start ? ` – ${formatTime(end)}` : "";
    byId("facts").textContent = `${formatTime(start)}${long} · mean score ${segment.mean.toFixed(2)}`;
    byId("verdict").textContent = SIGNS[segment.verdict] + segment.verdict;
    byId("verdict").dataset.verdict = segment.verdict;
    for (const button of byId("quick").children) {
      button.setAttribute("aria-pressed", String(Number(button.value) === segment.actionId));
    }
    this.markRows();
    this.drawBoxes();
  }

  /** Updates what depends on the time; around the segment the video begins again at its end. */
  showTime(seconds) {
    const before = this.time;
    this.time = seconds;
    if (this.current && this.player.isPlaying) {
      const end = Math.min(this.current.end + MARGIN, this.content.duration - 0.2);
      if (before <= end && seconds > end) this.player.seek(this.current.start - MARGIN);
    }
    this.drawBoxes();
    this.timeline.setTime(seconds, this.player.isPlaying);
    this.list.setTime(seconds);
    byId("time").textContent = `${formatTime(seconds)} / ${formatTime(this.content.duration)}`;
    byId("timeline").setAttribute("aria-valuenow", seconds.toFixed(1));
    byId("timeline").setAttribute("aria-valuetext", formatTime(seconds));
  }

  /** Draws all persons, with an action only the one who is asked about. */
  drawBoxes() {
    this.boxes.clear();
    const { current } = this;
    this.boxes.draw(this.detections.personsAt(this.time).map(({ row, track, box }) => {
      const isChosen = Boolean(current) && track === current.track;
      const actions = isChosen ? this.detections.actionsOf(row, NO_FILTER) : [];
      return {
        name: track ? `#${track}` : "person", color: this.items.personColor(track), box, isChosen,
        actions: actions.filter((one) => one.id === current.own).map((one) => ({
          ...this.items.actions.get(one.id), score: one.score, status: 0,
        })),
      };
    }));
  }

  makeQuick() {
    this.content.quick.forEach((id, i) => {
      const action = this.items.actions.get(id);
      const button = document.createElement("button");
      button.type = "button";
      button.value = id;
      const key = document.createElement("kbd");
      key.textContent = i + 1;
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.style.background = action.color;
      button.append(key, chip, action.name);
      byId("quick").append(button);
    });
  }

  listenToControls() {
    const { timeline, player } = this;
    const listen = (id, work) => byId(id).addEventListener("click", (event) => {
      work();
      if (event.detail) byId(id).blur(); // after a mouse: the space bar plays, and presses no button
    });
    listen("play", () => player.toggle());
    listen("back", () => player.step(-1));
    listen("forward", () => player.step(1));
    listen("accept", () => this.accept());
    listen("reject", () => this.reject());
    listen("change", () => this.openPicker());
    listen("undo", () => this.undo());
    listen("redo", () => this.redo());
    listen("previous", () => this.move(-1));
    listen("next", () => this.move(1));
    listen("zoom-in", () => timeline.zoom(2));
    listen("zoom-out", () => timeline.zoom(0.5));
    listen("fit", () => timeline.moveView(0, this.content.duration));
    byId("quick").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      this.decide(() => Number(button.value));
      if (event.detail) button.blur();
    });
    byId("screen").addEventListener("click", () => player.toggle());
    byId("speed").addEventListener("change", (event) => {
      byId("video").playbackRate = Number(event.target.value);
      event.target.blur();
    });
    byId("search").addEventListener("input", () => this.showLists());
    byId("kind").addEventListener("change", (event) => {
      this.showLists();
      event.target.blur();
    });
  }

  listenToKeys() {
    const { player } = this;
    const actions = {
      " ": () => player.toggle(),
      a: () => this.accept(),
      r: () => this.reject(),
      c: () => this.openPicker(),
      u: () => this.undo(),
      y: () => this.redo(),
      n: () => this.move(1),
      p: () => this.move(-1),
      ArrowLeft: (far) => player.seek(this.time - far),
      ArrowRight: (far) => player.seek(this.time + far),
      ",": () => player.step(-1),
      ".": () => player.step(1),
      "/": () => byId("search").focus(),
    };
    this.content.quick.forEach((id, i) => { actions[i + 1] = () => this.decide(() => id); });
    document.addEventListener("keydown", (event) => {
      if (this.picker.isOpen || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") document.activeElement.blur();
      const isButton = event.target.matches("button, summary, a");
      if (event.target.matches("input, select") || (event.key === " " && isButton)) return;
      const action = actions[event.key] ?? actions[event.key.toLowerCase()];
      if (!action || (event.repeat && !event.key.startsWith("Arrow"))) return;
      event.preventDefault();
      action(event.shiftKey ? 10 : 1);
    });
  }

  showPlayer() {
    const { player, content } = this;
    byId("play").textContent = player.isPlaying ? "Pause" : "Play";
    byId("notice").hidden = !player.isWithoutVideo;
    byId("notice-text").textContent = content.source
      ? `This browser cannot play ${content.sourceName}; ava-det transcode makes a file that it can.`
      : "This video is no file that a browser plays. The boxes are shown without it.";
    if (!player.isPlaying) this.showTime(player.time);
  }
}

readPageData().then(async (content) => {
  window.reviewer = new Reviewer(content);
  await window.reviewer.begin();
  window.reviewer.isReady = true;
}).catch((error) => {
  byId("notice").hidden = false;
  byId("notice-text").textContent = `This page cannot be shown here: ${error.message}`;
  throw error;
});
