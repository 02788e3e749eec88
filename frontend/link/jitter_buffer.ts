/**
 * The audio between the network and the loudspeaker: it waits until the network's delays are evened
 * out, and no longer. Counts time in samples, so it needs no clock.
 */

/** The level of the buffer at which playing starts, in s, and the range in which it adapts. */
const START_S = 0.07;
const LEAST_S = 0.04;
const MOST_S = 0.4;
/** Audio came too late if it came within this time after the buffer ran empty, in s. */
const LATE_S = 0.5;
/** One late packet raises the level by as much as it was late, within these bounds, in s. */
const LEAST_RISE_S = 0.02;
const MOST_RISE_S = 0.1;
/** While the buffer has not come near empty for this time, the level sinks by a step, in s. */
const STEADY_S = 3;
const STEP_S = 0.01;
/** Silence is left out while the buffer is this much above its level, in s. */
const SLACK_S = 0.04;
/** The most that is held, in s: after an outage, what the server had kept comes at once. */
const CAPACITY_S = 4;
/** A packet without a sample above this is silence, even after a codec. */
const SILENCE = 0.002;
/** Audio fades in over this time, in s, and its last sample fades out by this factor each. */
const FADE_S = 0.002;
const DECAY = 0.97;

/** One packet: a block of samples per channel, one or two; none where a pause begins. */
export type Channels = readonly Float32Array[];

interface Packet {
  channels: Channels;
  length: number;
  isSilent: boolean;
}

export class JitterBuffer {
  readonly #rate: number;
  readonly #packets: Packet[] = [];
  /** Samples of the first packet that were played. */
  #offset = 0;
  #buffered = 0;
  #level: number;
  #isPlaying = false;
  /** Samples since the start, played or not. */
  #clock = 0;
  /** The clock when the first packet came after the buffer was empty. */
  #filledAt = 0;
  /** The clock when it ran empty. */
  #emptyAt = 0;
  /** True from when it ran empty in the middle of something until that goes on. */
  #isInterrupted = false;
  #wasSilent = true;
  /** The lowest that the buffer has been since the clock had this value. */
  #lowest = Infinity;
  #lowestSince = 0;
  #gain = 0;
  readonly #last = [0, 0];

  constructor(rateHz: number) {
    this.#rate = rateHz;
    this.#level = START_S * rateHz;
  }

  /** Samples that wait, and the level at which playing starts, in s. */
  get bufferedS(): number {
    return this.#buffered / this.#rate;
  }

  get levelS(): number {
    return this.#level / this.#rate;
  }

  push(channels: Channels): void {
    const length = channels[0]?.length ?? 0;
    if (this.#buffered === 0) {
      // In a pause, nothing is late.
      if (length === 0) this.#isInterrupted = false;
      this.#filledAt = this.#clock;
      this.#adaptToLateness();
    }
    this.#packets.push({ channels, length, isSilent: isSilent(channels) });
    this.#buffered += length;
    while (this.#buffered > CAPACITY_S * this.#rate) {
      this.#next();
      this.#gain = 0;
    }
  }

  /** Fills the outputs, one or two, which begin as zeros. */
  pull(outputs: readonly Float32Array[]): void {
    const size = outputs[0]?.length ?? 0;
    if (!this.#isPlaying && this.#isFull()) this.#start();
    let at = 0;
    while (this.#isPlaying && at < size) at += this.#play(outputs, at, size);
    for (const [index, output] of outputs.entries()) this.#fadeOut(output, index, at);
    this.#clock += size;
    if (this.#isPlaying) this.#adaptToSteadiness();
  }

  /** Drops all that was not played yet. */
  clear(): void {
    this.#packets.length = 0;
    this.#offset = this.#buffered = 0;
    this.#isPlaying = this.#isInterrupted = false;
    this.#gain = 0;
  }

  /** True once there is enough to start; audio shorter than that starts when it has waited. */
  #isFull(): boolean {
    // In the middle of something, what comes late comes together: it need not wait for more.
    const enough = this.#isInterrupted ? LEAST_S * this.#rate : this.#level;
    const waited = this.#clock - this.#filledAt;
    return this.#buffered >= enough || (this.#buffered > 0 && waited >= enough);
  }

  #start(): void {
    this.#isPlaying = true;
    this.#isInterrupted = false;
    this.#watchLowest();
  }

  /** Copies samples from the first packet, and returns how many. */
  #play(outputs: readonly Float32Array[], at: number, size: number): number {
    if (this.#offset === 0) this.#leaveOutSilence();
    const packet = this.#packets[0];
    if (!packet) return this.#runEmpty();
    const count = Math.min(size - at, packet.length - this.#offset);
    for (const [index, output] of outputs.entries()) {
      const channel = packet.channels[index] ?? packet.channels[0];
      if (channel) output.set(channel.subarray(this.#offset, this.#offset + count), at);
      this.#last[index] = output[at + count - 1] ?? 0;
    }
    this.#fadeIn(outputs, at, count);
    this.#offset += count;
    this.#buffered -= count;
    this.#lowest = Math.min(this.#lowest, this.#buffered);
    if (this.#offset === packet.length) this.#next();
    return count;
  }

  /** Removes the first packet, or what is left of it. */
  #next(): void {
    const packet = this.#packets.shift();
    if (!packet) return;
    this.#buffered -= packet.length - this.#offset;
    this.#offset = 0;
    this.#wasSilent = packet.isSilent;
  }

  #leaveOutSilence(): void {
    const most = this.#level + SLACK_S * this.#rate;
    while (this.#packets[0]?.isSilent && this.#buffered - this.#packets[0].length > most) {
      this.#next();
    }
  }

  #runEmpty(): number {
    this.#isPlaying = false;
    this.#gain = 0;
    this.#emptyAt = this.#clock;
    // In a pause there is nothing to send: that is no delay of the network.
    this.#isInterrupted = !this.#wasSilent;
    return 0;
  }

  #adaptToLateness(): void {
    if (!this.#isInterrupted) return;
    const late = this.#clock - this.#emptyAt;
    this.#isInterrupted = late <= LATE_S * this.#rate;
    if (!this.#isInterrupted) return;
    const rise = Math.min(MOST_RISE_S * this.#rate, Math.max(LEAST_RISE_S * this.#rate, late));
    this.#level = Math.min(MOST_S * this.#rate, this.#level + rise);
  }

  #adaptToSteadiness(): void {
    if (this.#clock - this.#lowestSince < STEADY_S * this.#rate) return;
    const step = STEP_S * this.#rate;
    if (this.#lowest > 2 * step) this.#level = Math.max(LEAST_S * this.#rate, this.#level - step);
    this.#watchLowest();
  }

  #watchLowest(): void {
    this.#lowest = Infinity;
    this.#lowestSince = this.#clock;
  }

  #fadeIn(outputs: readonly Float32Array[], at: number, count: number): void {
    if (this.#gain >= 1) return;
    for (let n = at; n < at + count && this.#gain < 1; n++) {
      for (const output of outputs) output[n] = (output[n] ?? 0) * this.#gain;
      this.#gain += 1 / (FADE_S * this.#rate);
    }
  }

  /** Lets the last sample fade where nothing is played: a sudden zero would click. */
  #fadeOut(output: Float32Array, index: number, begin: number): void {
    let last = this.#last[index] ?? 0;
    if (last === 0) return;
    for (let n = begin; n < output.length; n++) output[n] = last *= DECAY;
    this.#last[index] = Math.abs(last) < 1e-4 ? 0 : last;
  }
}

const isSilent = (channels: Channels): boolean =>
  channels.every((channel) => channel.every((sample) => Math.abs(sample) < SILENCE));
