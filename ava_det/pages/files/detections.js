"use strict";

/**
 * The keyframes of one video, as flat arrays, and the persons at any time between them.
 *
 * Times are seconds since the first frame of the file, boxes fractions of the frame.
 */
class Detections {
  /** @param content The page's data: see ava_det/viewer/content.py. */
  constructor(content) {
    this.times = Float64Array.from(content.times);
    this.first = sumsBefore(content.counts);
    this.tracks = content.tracks;
    this.boxes = Float32Array.from(content.boxes, (value) => value / content.boxScale);
    this.scores = content.scores;
    this.scoreScale = content.scoreScale;
    this.firstAction = sumsBefore(content.actionCounts);
    this.actionIds = content.actionIds;
    this.actionScores = content.actionScores;
    this.statuses = content.statuses;
    this.maxGap = content.maxGap;
    this.maxHold = content.maxHold;
  }

  /** Returns the number of the last keyframe at or before a time, -1 before the first. */
  keyframeAt(seconds) {
    let low = -1;
    let high = this.times.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= seconds) low = middle;
      else high = middle;
    }
    return low;
  }

  /**
   * Returns the persons at a time, [{row, track, box: [x1, y1, x2, y2]}].
   *
   * The rule is that of `interpolate` in ava_det/tracking/linker.py: who is on both keyframes
   * moves in a straight line; who is on one only stays until half way, for `maxHold` at most.
   */
  personsAt(seconds) {
    const before = this.keyframeAt(seconds);
    const after = before + 1;
    if (before < 0 || after === this.times.length) {
      return this.heldPersons(before < 0 ? after : before, seconds);
    }
    const span = this.times[after] - this.times[before];
    const share = (seconds - this.times[before]) / span;
    const [near, far] = share < 0.5 ? [before, after] : [after, before];
    if (span > this.maxGap) return this.heldPersons(near, seconds);
    const weight = Math.min(share, 1 - share);
    const rowOfTrack = new Map();
    for (let row = this.first[far]; row < this.first[far + 1]; row++) {
      if (this.tracks[row]) rowOfTrack.set(this.tracks[row], row);
    }
    const isHeld = this.isNear(near, seconds);
    const persons = [];
    for (let row = this.first[near]; row < this.first[near + 1]; row++) {
      const other = rowOfTrack.get(this.tracks[row]);
      if (other === undefined && !isHeld) continue;
      const box = this.boxOf(row);
      if (other !== undefined) {
        const end = this.boxOf(other);
        for (let i = 0; i < 4; i++) box[i] = box[i] * (1 - weight) + end[i] * weight;
      }
      persons.push({ row, track: this.tracks[row], box });
    }
    return persons;
  }

  heldPersons(keyframe, seconds) {
    if (!(keyframe in this.times) || !this.isNear(keyframe, seconds)) return [];
    const persons = [];
    for (let row = this.first[keyframe]; row < this.first[keyframe + 1]; row++) {
      persons.push({ row, track: this.tracks[row], box: this.boxOf(row) });
    }
    return persons;
  }

  isNear(keyframe, seconds) {
    return Math.abs(seconds - this.times[keyframe]) <= this.maxHold;
  }

  boxOf(row) {
    return Array.from(this.boxes.subarray(4 * row, 4 * row + 4));
  }

  /** Returns the actions of a person that a filter lets through, [{id, score, status}]. */
  actionsOf(row, filter) {
    const actions = [];
    for (let i = this.firstAction[row]; i < this.firstAction[row + 1]; i++) {
      const score = this.actionScores[i] / this.scoreScale;
      const id = this.actionIds[i];
      if (score < filter.threshold || filter.hidden.has(id)) continue;
      actions.push({ id, score, status: this.statuses ? this.statuses[i] : 0 });
    }
    return actions;
  }
}

/** Returns 0 and the running sums of counts. */
function sumsBefore(counts) {
  const sums = new Uint32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) sums[i + 1] = sums[i] + counts[i];
  return sums;
}
