/** One RTCPeerConnection from offer to close: trickle ICE (RFC 8838), data channel, states. */
import type { Credentials } from "../types";
import { parseMessage, readAnswer, readCandidates } from "./messages";
import { lookUp, sendClose, type Lookup, type Peer, type PeerListener, type PeerOptions } from "./peer";

export interface WebRTCPeerOptions extends PeerOptions {
  /** Used when the server has no configuration of its own for this call. */
  configuration: RTCConfiguration | null;
  parameters: Partial<RTCRtpSendParameters> | null;
  newConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

/** The label that the server expects of the data channel, and the first message on it. */
const CHANNEL_LABEL = "text";
const HANDSHAKE = "handshake";

/** The time after the beginning of an answer at which its delay in the browser is reported, in ms. */
const MEASURED_MS = 500;

export class WebRTCPeer implements Peer {
  readonly #connection: RTCPeerConnection;
  readonly #options: WebRTCPeerOptions;
  #listener: PeerListener | null;
  #credentials: Credentials | null = null;
  #channel: RTCDataChannel | null = null;
  /** Candidates found before the answer: without its id and secret they cannot be sent. */
  readonly #earlyCandidates: RTCIceCandidate[] = [];

  /** Creates the connection, with its channel and its media; `call` sends the offer. */
  static async create(options: WebRTCPeerOptions, listener: PeerListener): Promise<WebRTCPeer> {
    const serverConfiguration = (await options.server.turn(null)) as RTCConfiguration | null;
    return new WebRTCPeer(options, listener, serverConfiguration ?? options.configuration ?? {});
  }

  private constructor(
    options: WebRTCPeerOptions,
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
    if (this.#listener === null) return sendClose(server, credentials);
    this.#credentials = credentials;
    this.#listener.onanswer(credentials);
    for (const candidate of this.#earlyCandidates.splice(0)) {
      this.#sendCandidate(candidate, credentials);
    }
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    await this.#setParameters();
    if (answer.hasMoreCandidates) await this.#fetchCandidates(credentials);
  }

  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    const senders = this.#connection.getSenders();
    await senders.find((sender) => sender.track?.kind === track.kind)?.replaceTrack(track);
  }

  send(text: string): boolean {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  lookUp(): Promise<Lookup> {
    return lookUp(this.#options.server, this.#credentials);
  }

  detachListener(): void {
    this.#listener = null;
  }

  async close(): Promise<void> {
    this.#listener = null;
    // An established connection signals its close by itself. Before that the server would wait.
    const isEstablished = this.#connection.connectionState === "connected";
    this.#connection.close();
    if (this.#credentials && !isEstablished) {
      await sendClose(this.#options.server, this.#credentials);
    }
  }

  #openChannel(): void {
    const channel = this.#connection.createDataChannel(CHANNEL_LABEL);
    this.#channel = channel;
    channel.onopen = () => {
      channel.send(HANDSHAKE);
      this.#listener?.onwritable?.();
    };
    channel.onmessage = ({ data }) => {
      const message = parseMessage(data);
      if (message?.type === "hold" || message?.type === "resume") this.#mute(message.type === "hold");
      else if (message) this.#listener?.onmessage(message);
      else if (typeof data === "string") this.#listener?.ontext?.(data);
      const { text } = (message ?? {}) as { text?: string };
      if (text === "response_starting") setTimeout(() => this.#reportDelay(), MEASURED_MS);
    };
    channel.onclose = () => this.#listener?.onclosed();
  }

  /** Reports the browser's statistics of the audio that it plays, for the delay of its buffer. */
  async #reportDelay(): Promise<void> {
    (await this.#connection.getStats()).forEach((data) => {
      if (data.kind === "audio" && data.jitterBufferDelay) {
        this.send(JSON.stringify({ type: "inbound_stats", data }));
      }
    });
  }

  /**
   * Mutes the audio that is received. The browser's jitter buffer, which no page can empty, runs dry
   * meanwhile; what of it was not heard comes once more.
   */
  #mute(isMuted: boolean): void {
    for (const { track } of this.#connection.getReceivers()) {
      if (track.kind === "audio") track.enabled = !isMuted;
    }
  }

  #addMedia(): void {
    const { stream, mode, kinds } = this.#options;
    const tracks = mode === "receive" ? [] : (stream?.getTracks() ?? []);
    const direction = mode === "send" ? "sendonly" : "sendrecv";
    const streams = stream ? [stream] : [];
    for (const track of tracks) this.#connection.addTransceiver(track, { direction, streams });
    // A kind without a track is received alone.
    for (const kind of kinds) {
      if (tracks.some((track) => track.kind === kind)) continue;
      this.#connection.addTransceiver(kind, { direction: "recvonly" });
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
        return this.#listener?.onconnected("webrtc");
      case "disconnected":
        return this.#listener?.onunstable();
      case "failed":
        return this.#listener?.onlost();
      case "closed":
        return this.#listener?.onclosed();
    }
  }
}
