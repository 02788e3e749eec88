/** Fakes of the elements and functions with which a link makes and shows video. */
import { vi } from "vitest";
import type { Bytes } from "../../link/frames";
import { FakeStream, FakeTrack } from "../fakes";
import { bytes } from "./wire";

class FakeCanvas {
  width = 300;
  height = 150;
  constructor(readonly video: FakeVideo) {}
  getContext = (): object => ({ drawImage: vi.fn() });
  toBlob(done: (blob: Blob) => void, type: string, quality: number): void {
    this.video.qualities.push(quality);
    done(new Blob([this.video.jpeg], { type }));
  }
  captureStream = (): FakeStream => new FakeStream([this.video.captured]);
}

/** What the elements have in common; the test sets what they show. */
export class FakeVideo {
  element = {
    srcObject: null as unknown,
    muted: false,
    play: async (): Promise<void> => undefined,
    videoWidth: 0,
    videoHeight: 0,
  };
  canvas!: FakeCanvas;
  captured = new FakeTrack("video");
  jpeg: Bytes = bytes(0xff, 0xd8, 0xff);
  qualities: number[] = [];
  /** The bytes of each frame that was drawn. */
  drawn: number[][] = [];
  /** Decoding waits for this. */
  pending: Promise<void> | null = null;

  set size([width, height]: [number, number]) {
    Object.assign(this.element, { videoWidth: width, videoHeight: height });
  }

  /** The first canvas of a peer is for what comes, the second for what goes. */
  create = (name: string): unknown =>
    name === "video" ? this.element : (this.canvas = new FakeCanvas(this));

  decode = async (jpeg: Blob): Promise<object> => {
    await this.pending;
    this.drawn.push([...new Uint8Array(await jpeg.arrayBuffer())]);
    return { width: 4, height: 2, close: () => undefined };
  };
}

/** Installs them as globals; `vi.unstubAllGlobals` removes them. */
export function installVideo(): FakeVideo {
  const video = new FakeVideo();
  vi.stubGlobal("document", { createElement: video.create });
  vi.stubGlobal("createImageBitmap", video.decode);
  return video;
}
