"use strict";

const HALF_TICK = 0.0005; // seconds, past the start of a frame: rounding must not show the one before

/**
 * The video, or where it cannot be played a clock in its place.
 *
 * Times are seconds since the video's first frame.
 */
class Player {
  /**
   * @param video The element.
   * @param content The page's data.
   * @param onFrame Called with the time of each frame that is shown.
   * @param onChange Called when it starts, stops or can no longer be played.
   */
  constructor(video, content, onFrame, onChange) {
    this.video = video;
    this.delay = content.delay; // from the start of the file to its first frame
    this.duration = content.duration;
    this.frame = 1 / content.fps;
    this.frames = findFrames(content); // times of all frames, null where they come at that rate
    this.onFrame = onFrame;
    this.onChange = onChange;
    this.time = 0; // of the frame that is shown
    this.stepped = null; // the frame of the last step, and the place in the file
    this.clock = null; // in place of a video: the moment at which it would be at 0
    this.isWithoutVideo = !content.source;
    video.addEventListener("error", () => this.setWithoutVideo());
    for (const name of ["play", "pause", "ended", "loadeddata"]) {
      video.addEventListener(name, onChange);
    }
    video.addEventListener("loadeddata", () => { this.isWithoutVideo = false; onChange(); });
    this.listenToFrames();
    if (content.source) video.src = content.source;
  }

  listenToFrames() {
    const { video } = this;
    if (!("requestVideoFrameCallback" in video)) {
      const tell = () => this.setTime(video.currentTime - this.delay);
      video.addEventListener("timeupdate", tell);
      video.addEventListener("seeked", tell);
      return;
    }
    const next = (now, frame) => {
      this.setTime(frame.mediaTime - this.delay);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    // A page that is not in front is not told of frames: then the place of the video counts.
    const check = () => setTimeout(() => {
      const time = video.currentTime - HALF_TICK - this.delay;
      const isStill = video.paused && !video.seeking && video.readyState >= 2;
      if (isStill && Math.abs(time - this.time) > 1.5 * this.frame) this.setTime(time);
    }, 300);
    video.addEventListener("seeked", check);
    video.addEventListener("loadeddata", check);
  }

  setTime(seconds) {
    this.time = Math.max(seconds, 0);
    this.onFrame(this.time);
  }

  setWithoutVideo() {
    this.isWithoutVideo = true;
    this.onChange();
    this.onFrame(this.time);
  }

  /** Plays a file that the user chose. */
  setFile(file) {
    const time = this.time;
    this.video.src = URL.createObjectURL(file);
    this.video.addEventListener("loadedmetadata", () => this.seek(time), { once: true });
  }

  get isPlaying() {
    return this.isWithoutVideo ? this.clock !== null : !this.video.paused && !this.video.ended;
  }

  toggle() {
    if (!this.isWithoutVideo) {
      if (this.isPlaying) this.video.pause();
      else this.video.play().catch(() => this.onChange());
      return;
    }
    if (this.clock !== null) {
      this.clock = null;
    } else {
      this.clock = performance.now() / 1000 - this.time;
      const tick = () => {
        if (this.clock === null) return;
        const time = performance.now() / 1000 - this.clock;
        if (time >= this.duration) this.clock = null;
        this.setTime(Math.min(time, this.duration));
        if (this.clock === null) this.onChange();
        else requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }
    this.onChange();
  }

  /** Shows the frame at a time. */
  seek(seconds) {
    const time = Math.min(Math.max(seconds, 0), this.duration);
    if (this.isWithoutVideo) {
      if (this.clock !== null) this.clock = performance.now() / 1000 - time;
      this.setTime(time);
    } else {
      this.video.currentTime = time + this.delay + HALF_TICK;
      if (this.video.readyState < 1) this.time = time; // it begins there
    }
  }

  /** Shows the next frame, or for -1 the one before. */
  step(direction) {
    if (this.isPlaying) this.toggle();
    if (!this.frames) {
      this.seek(this.time + direction * this.frame + (direction > 0 ? HALF_TICK : 0));
      return;
    }
    const number = Math.min(Math.max(this.findFrame() + direction, 0), this.frames.length - 1);
    this.seek(this.frames[number]);
    this.stepped = { number, place: this.video.currentTime };
  }

  /**
   * Returns the number of the frame that is shown; after a step of the one that was asked for.
   *
   * In mp4 files with B-frames the durations of frames are those of the order of decoding. Chromium
   * goes by them, and may show the frame before: the next step must go on nevertheless.
   */
  findFrame() {
    const { stepped, video } = this;
    if (stepped && !this.isWithoutVideo && Math.abs(video.currentTime - stepped.place) < HALF_TICK) {
      return stepped.number;
    }
    let low = 0;
    let high = this.frames.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.frames[middle] <= this.time + HALF_TICK) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Returns the times of all frames, in seconds since the first, where their rate varies. */
function findFrames({ frameSteps, frameScale }) {
  if (!frameSteps) return null;
  const times = new Float64Array(frameSteps.length + 1);
  let time = 0;
  frameSteps.forEach((step, i) => { times[i + 1] = (time += step) / frameScale; });
  return times;
}
