"use strict";

/**
 * Sends steps to the server one after the other, and keeps the state that it answers with.
 *
 * Each step names the version of the state on which it was taken, so that the server can refuse
 * one of a page that has not seen what another one decided.
 */
class ReviewSteps {
  /**
   * @param address Of the page of the video.
   * @param onState Called with each new state and, where a step led to it, the answer and the step.
   * @param onTrouble Called with a sentence about a step that was not taken, or with "".
   */
  constructor(address, onState, onTrouble) {
    this.address = address;
    this.onState = onState;
    this.onTrouble = onTrouble;
    this.state = null;
    this.queue = Promise.resolve();
    this.failures = 0;
  }

  /** Does something after the answers to what was sent before. */
  after(work) {
    this.queue = this.queue.then(work);
    return this.queue;
  }

  /** Asks for the state. */
  refresh() {
    return this.after(() => this.readState());
  }

  /**
   * Sends a step, after those before it; after one that is refused those that wait are dropped.
   *
   * @param makeStep Makes the step when its turn comes, or null.
   */
  send(makeStep) {
    const { failures } = this;
    return this.after(async () => {
      const step = failures === this.failures && this.state ? makeStep() : null;
      if (step) await this.post(step);
    });
  }

  async readState() {
    const answer = await this.ask(`${this.address}/state`);
    if (!answer) return;
    if (!answer.isGood) {
      this.fail(answer.error);
      return;
    }
    this.state = answer;
    this.onState(answer, null, null);
  }

  async post(step) {
    const answer = await this.ask("/steps", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ version: this.state.version, step }),
      keepalive: true, // also where the page is closed meanwhile
    });
    if (!answer) return;
    if (answer.isStale) {
      await this.readState();
      this.fail("Something was decided in another window. It is shown now; your key was not taken.");
      return;
    }
    if (!answer.isGood) {
      this.fail(`Not saved: ${answer.error}`);
      return;
    }
    this.onTrouble("");
    if (answer.video === this.state.video) this.state = answer;
    this.onState(this.state, answer, step);
  }

  /** Returns the answer to a request; null where there is none, which is said. */
  async ask(address, options = {}) {
    try {
      const response = await fetch(address, { cache: "no-store", ...options });
      const isStale = response.status === 409;
      return { ...(await response.json()), isGood: response.ok, isStale };
    } catch {
      this.fail("ava-det review does not answer; nothing was saved. Start it again, then go on here.");
      return null;
    }
  }

  fail(sentence) {
    this.failures += 1;
    this.onTrouble(sentence);
  }
}
