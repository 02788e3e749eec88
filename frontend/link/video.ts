/** The video of a link: JPEG frames from the camera, and a track of those that the server sends. */
import { concat, type Bytes } from "./frames";

/** Bounds of what is sent: frames per second, pixels of the longer side, bytes of a frame. */
const FRAMES_PER_S = 15;
const MOST_PIXELS = 640;
const MOST_BYTES = 256 * 1024;
/** Frames that the server may be behind. */
const MOST_UNACKNOWLEDGED = 2;
const JPEG = "image/jpeg";
const QUALITY = 0.75;
/** After a frame that was too large, the quality is this share of what it was. */
const COARSER = 0.8;
const TIMESTAMP_BYTES = 4;

export class Camera {
  readonly #video = document.createElement("video");
  readonly #canvas = document.createElement("canvas");
  readonly #timer: ReturnType<typeof setInterval>;
  #beganMs: number | null = null;
  #quality = QUALITY;
  #isEncoding = false;

  /** Sends frames until `close`, as long as few enough are on their way. */
  constructor(
    track: MediaStreamTrack,
    link: { readonly videoFrames: number; sendVideo(payload: Bytes): void },
  ) {
    // Safari plays no video outside of the page otherwise.
    this.#video.muted = this.#video.playsInline = true;
    this.replaceTrack(track);
    this.#timer = setInterval(() => {
      if (link.videoFrames >= MOST_UNACKNOWLEDGED || this.#isEncoding) return;
      this.#encode((payload) => link.sendVideo(payload));
    }, 1000 / FRAMES_PER_S);
  }

  replaceTrack(track: MediaStreamTrack): void {
    this.#video.srcObject = new MediaStream([track]);
    // It is muted, so only a newer source can interrupt it.
    this.#video.play().catch(() => undefined);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#video.srcObject = null;
  }

  #encode(send: (payload: Bytes) => void): void {
    const { videoWidth, videoHeight } = this.#video;
    if (videoWidth === 0) return;
    const scale = Math.min(1, MOST_PIXELS / Math.max(videoWidth, videoHeight));
    const canvas = this.#canvas;
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    canvas.getContext("2d")?.drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    const nowMs = performance.now();
    this.#beganMs ??= nowMs;
    const timestamp = new Uint8Array(TIMESTAMP_BYTES);
    new DataView(timestamp.buffer).setUint32(0, Math.round(nowMs - this.#beganMs));
    this.#isEncoding = true;
    canvas.toBlob((blob) => void this.#finish(blob, timestamp, send), JPEG, this.#quality);
  }

  async #finish(
    blob: Blob | null,
    timestamp: Bytes,
    send: (payload: Bytes) => void,
  ): Promise<void> {
    const isTooLarge = blob !== null && blob.size > MOST_BYTES;
    if (isTooLarge) this.#quality *= COARSER;
    else if (blob) send(concat([timestamp, new Uint8Array(await blob.arrayBuffer())]));
    this.#isEncoding = false;
  }
}

/** Draws the frames of the server; its track begins with the first one. */
export class RemoteVideo {
  readonly #canvas = document.createElement("canvas");
  readonly #ontrack: (track: MediaStreamTrack) => void;
  /** The newest frame that waits for the decoder, and null without one. */
  #next: Bytes | null = null;
  #isDrawing = false;
  #track: MediaStreamTrack | null = null;

  constructor(ontrack: (track: MediaStreamTrack) => void) {
    this.#ontrack = ontrack;
  }

  /** Shows a frame, or drops it if a newer one comes before its turn. */
  async show(payload: Bytes): Promise<void> {
    this.#next = payload;
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    try {
      while (this.#next) {
        const jpeg = this.#next.subarray(TIMESTAMP_BYTES);
        this.#next = null;
        await this.#draw(new Blob([jpeg], { type: JPEG }));
      }
    } finally {
      this.#isDrawing = false;
    }
  }

  close(): void {
    this.#next = null;
    this.#track?.stop();
  }

  async #draw(jpeg: Blob): Promise<void> {
    const frame = await createImageBitmap(jpeg);
    const canvas = this.#canvas;
    if (canvas.width !== frame.width) canvas.width = frame.width;
    if (canvas.height !== frame.height) canvas.height = frame.height;
    canvas.getContext("2d")?.drawImage(frame, 0, 0);
    frame.close();
    if (this.#track) return;
    this.#track = canvas.captureStream().getVideoTracks()[0] ?? null;
    if (this.#track) this.#ontrack(this.#track);
  }
}
