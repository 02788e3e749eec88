/** One RTCPeerConnection from offer to close: trickle ICE (RFC 8838), data channel, states. */
import type { Credentials, Mode, Server } from "../types";
import {
  parseMessage,
  readAnswer,
  readCandidates,
  readKnown,
  type ServerMessage,
} from "./messages";

/** What a peer tells; each may be called until `close`, none afterwards. */
export interface PeerListener {
  /** The server has answered; comes before every other call. */
  onanswer(credentials: Credentials): void;
  onconnected(): void;
  /** Media stopped for now. It may come back: only `onlost` is final. */
  onunstable(): void;
  onlost(): void;
  /** The server closed its side. */
  onclosed(): void;
  ontrack(track: MediaStreamTrack): void;
  onmessage(message: ServerMessage): void;
  /** The browser would not take the app's sending parameters; the call goes on without them. */
  onparametersrefused(reason: string): void;
}

export interface PeerOptions {
  server: Server;
  mode: Mode;
  /** What to receive; what is sent are the tracks of `stream`. */
  kinds: readonly ("audio" | "video")[];
  stream: MediaStream | null;
  /** Used when the server has no configuration of its own for this call. */
  configuration: RTCConfiguration | null;
  parameters: Partial<RTCRtpSendParameters> | null;
  /** The query of the page's address: Gradio sends server functions none. */
  query?: string;
  newConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

/** The label the server looks for, and the first word it hears. */
const CHANNEL_LABEL = "text";
const GREETING = "handshake";

export class Peer {
  readonly #connection: RTCPeerConnection;
  readonly #options: PeerOptions;
  #listener: PeerListener | null;
  #credentials: Credentials | null = null;
  /** Candidates found before the answer: the server knows no such call yet. */
  readonly #earlyCandidates: RTCIceCandidate[] = [];

  /** Makes the connection and gathers what is to be sent; `call` starts the talking. */
  static async create(options: PeerOptions, listener: PeerListener): Promise<Peer> {
    const fresh = (await options.server.turn(null)) as RTCConfiguration | null;
    return new Peer(options, listener, fresh ?? options.configuration ?? {});
  }

  private constructor(
    options: PeerOptions,
    listener: PeerListener,
    configuration: RTCConfiguration,
  ) {
    this.#options = options;
    this.#listener = listener;
    const make = options.newConnection ?? ((given) => new RTCPeerConnection(given));
    // One path for all media: half the candidates, and what every server of today offers anyway.
    this.#connection = make({ bundlePolicy: "max-bundle", ...configuration });
    this.#openChannel();
    this.#addMedia();
    this.#connection.ontrack = ({ track }) => this.#listener?.ontrack(track);
    this.#connection.onicecandidate = ({ candidate }) => this.#found(candidate);
    this.#connection.onconnectionstatechange = () => this.#report();
  }

  /**
   * Offers and takes the answer in, which brings the id and the secret that the server has made.
   *
   * @throws {OfferRefused} when the server says no; whatever the network throws otherwise.
   */
  async call(): Promise<void> {
    const connection = this.#connection;
    await connection.setLocalDescription(await connection.createOffer());
    const sdp = connection.localDescription?.sdp;
    const { server, query } = this.#options;
    const answer = readAnswer(await server.offer({ type: "offer", sdp, query }));
    const credentials = { webrtc_id: answer.webrtc_id, secret: answer.secret };
    if (this.#listener === null) return this.#leave(credentials);
    this.#credentials = credentials;
    this.#listener.onanswer(credentials);
    for (const candidate of this.#earlyCandidates.splice(0)) this.#send(candidate, credentials);
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    await this.#setParameters();
    if (answer.hasMoreCandidates) await this.#fetchCandidates(credentials);
  }

  /** Sends this track from now on in place of the other of its kind. */
  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    const senders = this.#connection.getSenders();
    await senders.find((sender) => sender.track?.kind === track.kind)?.replaceTrack(track);
  }

  /** Asks the server whether it still knows this call. Never rejects. */
  async isKnown(): Promise<"known" | "unknown" | "away"> {
    const question = { type: "candidates", ...this.#credentials };
    return readKnown(await this.#options.server.offer(question).catch(() => undefined));
  }

  /** Has the listener hear nothing more; what still sounds goes on until `close`. */
  hush(): void {
    this.#listener = null;
  }

  /** Ends the connection, at once and for good; the listener hears nothing more. */
  close(): void {
    this.#listener = null;
    // A connection that stands says goodbye by itself; before that the server would wait for it.
    if (this.#credentials && this.#connection.connectionState !== "connected") {
      this.#leave(this.#credentials);
    }
    this.#connection.close();
  }

  #leave(credentials: Credentials): void {
    // When this is lost, the server gives the slot back after its own time-out.
    this.#options.server.offer({ type: "close", ...credentials }).catch(() => undefined);
  }

  #openChannel(): void {
    const channel = this.#connection.createDataChannel(CHANNEL_LABEL);
    channel.onopen = () => channel.send(GREETING);
    channel.onmessage = ({ data }) => {
      const message = parseMessage(data);
      if (message) this.#listener?.onmessage(message);
    };
    channel.onclose = () => this.#listener?.onclosed();
  }

  #addMedia(): void {
    const { stream, mode, kinds } = this.#options;
    if (mode === "receive" || stream === null) {
      for (const kind of kinds) this.#connection.addTransceiver(kind, { direction: "recvonly" });
      return;
    }
    const direction = mode === "send" ? "sendonly" : "sendrecv";
    for (const track of stream.getTracks()) {
      this.#connection.addTransceiver(track, { direction, streams: [stream] });
    }
  }

  #found(candidate: RTCIceCandidate | null): void {
    // null and "" mark the end of the search: nothing the server waits for.
    if (!candidate?.candidate) return;
    if (this.#credentials) this.#send(candidate, this.#credentials);
    else this.#earlyCandidates.push(candidate);
  }

  #send(candidate: RTCIceCandidate, credentials: Credentials): void {
    const body = { type: "ice-candidate", candidate: candidate.toJSON(), ...credentials };
    // A lost candidate leaves one path untried. When none is left the connection itself reports.
    this.#options.server.offer(body).catch(() => undefined);
  }

  async #fetchCandidates(credentials: Credentials): Promise<void> {
    const reply = await this.#options.server.offer({ type: "candidates", ...credentials });
    for (const candidate of readCandidates(reply)) {
      if (this.#listener === null) return;
      await this.#connection.addIceCandidate(candidate);
    }
  }

  async #setParameters(): Promise<void> {
    const { parameters } = this.#options;
    if (parameters === null || Object.keys(parameters).length === 0) return;
    try {
      for (const sender of this.#connection.getSenders()) {
        if (sender.track) await sender.setParameters({ ...sender.getParameters(), ...parameters });
      }
    } catch (error) {
      this.#listener?.onparametersrefused(error instanceof Error ? error.message : String(error));
    }
  }

  #report(): void {
    switch (this.#connection.connectionState) {
      case "connected":
        return this.#listener?.onconnected();
      case "disconnected":
        return this.#listener?.onunstable();
      case "failed":
        return this.#listener?.onlost();
      case "closed":
        return this.#listener?.onclosed();
    }
  }
}
