/** One RTCPeerConnection from offer to close: trickle ICE (RFC 8838), data channel, states. */
import type { Credentials, Mode, Server } from "../types";
import {
  parseMessage,
  readAnswer,
  readCandidates,
  readLookup,
  type ServerMessage,
} from "./messages";

/** Callbacks of a peer; each may be called until `close`, none afterwards. */
export interface PeerListener {
  /** The server has answered. Called before every other callback. */
  onanswer(credentials: Credentials): void;
  onconnected(): void;
  /** Media stopped for the moment and may recover: only `onlost` is final. */
  onunstable(): void;
  onlost(): void;
  /** The server closed its side. */
  onclosed(): void;
  ontrack(track: MediaStreamTrack): void;
  onmessage(message: ServerMessage): void;
  /** The browser refused the app's sending parameters; the call continues without them. */
  onparametersrefused(reason: string): void;
}

export interface PeerOptions {
  server: Server;
  mode: Mode;
  /** The kinds to receive in receive mode; in the other modes the tracks of `stream` decide. */
  kinds: readonly ("audio" | "video")[];
  stream: MediaStream | null;
  /** Used when the server has no configuration of its own for this call. */
  configuration: RTCConfiguration | null;
  parameters: Partial<RTCRtpSendParameters> | null;
  /** The query of the page's address, which Gradio does not pass to server functions. */
  query?: string;
  newConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

/** The label that the server expects of the data channel, and the first message on it. */
const CHANNEL_LABEL = "text";
const HANDSHAKE = "handshake";

export class Peer {
  readonly #connection: RTCPeerConnection;
  readonly #options: PeerOptions;
  #listener: PeerListener | null;
  #credentials: Credentials | null = null;
  /** Candidates found before the answer: without its id and secret they cannot be sent. */
  readonly #earlyCandidates: RTCIceCandidate[] = [];

  /** Creates the connection, with its channel and its media; `call` sends the offer. */
  static async create(options: PeerOptions, listener: PeerListener): Promise<Peer> {
    const serverConfiguration = (await options.server.turn(null)) as RTCConfiguration | null;
    return new Peer(options, listener, serverConfiguration ?? options.configuration ?? {});
  }

  private constructor(
    options: PeerOptions,
    listener: PeerListener,
    configuration: RTCConfiguration,
  ) {
    this.#options = options;
    this.#listener = listener;
    const newConnection =
      options.newConnection ?? ((config) => new RTCPeerConnection(config));
    // One path for all media needs half the candidates, and every current server offers it anyway.
    this.#connection = newConnection({ bundlePolicy: "max-bundle", ...configuration });
    this.#openChannel();
    this.#addMedia();
    this.#connection.ontrack = ({ track }) => this.#listener?.ontrack(track);
    this.#connection.onicecandidate = ({ candidate }) => this.#handleCandidate(candidate);
    this.#connection.onconnectionstatechange = () => this.#reportState();
  }

  /**
   * Sends the offer and applies the answer, which contains the id and the secret of the call.
   *
   * @throws {OfferRefused} when the server refuses; otherwise the errors of the network.
   */
  async call(): Promise<void> {
    const connection = this.#connection;
    await connection.setLocalDescription(await connection.createOffer());
    const sdp = connection.localDescription?.sdp;
    const { server, query } = this.#options;
    const answer = readAnswer(await server.offer({ type: "offer", sdp, query }));
    const credentials = { webrtc_id: answer.webrtc_id, secret: answer.secret };
    // Closed while the server was answering: its session would otherwise wait for a connection.
    if (this.#listener === null) return this.#sendClose(credentials);
    this.#credentials = credentials;
    this.#listener.onanswer(credentials);
    for (const candidate of this.#earlyCandidates.splice(0)) {
      this.#sendCandidate(candidate, credentials);
    }
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    await this.#setParameters();
    if (answer.hasMoreCandidates) await this.#fetchCandidates(credentials);
  }

  /** Sends this track from now on in place of the current one of its kind. */
  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    const senders = this.#connection.getSenders();
    await senders.find((sender) => sender.track?.kind === track.kind)?.replaceTrack(track);
  }

  /** Asks the server if it still has this call. Never rejects. */
  async lookUp(): Promise<"found" | "not_found" | "unreachable"> {
    const request = { type: "candidates", ...this.#credentials };
    return readLookup(await this.#options.server.offer(request).catch(() => undefined));
  }

  /** Stops all callbacks; audio that is still playing continues until `close`. */
  detachListener(): void {
    this.#listener = null;
  }

  /** Closes the connection at once and for good; no callback follows. */
  close(): void {
    this.#listener = null;
    // An established connection signals its close by itself. Before that the server would wait.
    if (this.#credentials && this.#connection.connectionState !== "connected") {
      this.#sendClose(this.#credentials);
    }
    this.#connection.close();
  }

  #sendClose(credentials: Credentials): void {
    // If this request is lost, the server frees the slot after its own time-out.
    this.#options.server.offer({ type: "close", ...credentials }).catch(() => undefined);
  }

  #openChannel(): void {
    const channel = this.#connection.createDataChannel(CHANNEL_LABEL);
    channel.onopen = () => channel.send(HANDSHAKE);
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

  #handleCandidate(candidate: RTCIceCandidate | null): void {
    // null and "" mark the end of the candidates, which the server does not wait for.
    if (!candidate?.candidate) return;
    if (this.#credentials) this.#sendCandidate(candidate, this.#credentials);
    else this.#earlyCandidates.push(candidate);
  }

  #sendCandidate(candidate: RTCIceCandidate, credentials: Credentials): void {
    const body = { type: "ice-candidate", candidate: candidate.toJSON(), ...credentials };
    // A lost candidate leaves one path untried. If none is left, the connection reports a failure.
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
        // Parameters must be those of the last `getParameters`, changed (W3C WebRTC, 5.2).
        if (sender.track) await sender.setParameters({ ...sender.getParameters(), ...parameters });
      }
    } catch (error) {
      this.#listener?.onparametersrefused(error instanceof Error ? error.message : String(error));
    }
  }

  #reportState(): void {
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
