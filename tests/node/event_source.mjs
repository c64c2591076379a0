/* EventSource as browsers have it, as far as OFREP's web provider uses it: node 18 has none. */
export class EventSource extends EventTarget {
  static CLOSED = 2;
  readyState = 0;
  #stop = new AbortController();
  #lastId = '';

  constructor(url) {
    super();
    this.url = url;
    this.#run();
  }

  close() {
    this.readyState = EventSource.CLOSED;
    this.#stop.abort();
  }

  async #run() {
    while (this.readyState !== EventSource.CLOSED) {
      try {
        await this.#read();
      } catch {
        /* dialled again */
      }
      if (this.readyState === EventSource.CLOSED) return;
      this.readyState = 0;
      this.#tell('error');
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async #read() {
    const headers = this.#lastId ? { 'Last-Event-ID': this.#lastId } : {};
    const answer = await fetch(this.url, { headers, signal: this.#stop.signal });
    if (answer.status !== 200 || answer.headers.get('content-type') !== 'text/event-stream') {
      this.close();
      this.#tell('error');
      return;
    }
    this.readyState = 1;
    this.#tell('open');
    const decoder = new TextDecoder();
    let text = '';
    for await (const piece of answer.body) {
      text += decoder.decode(piece, { stream: true });
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) this.#dispatch(text.slice(0, end));
    }
  }

  #dispatch(block) {
    let type = 'message';
    let data = '';
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) this.#lastId = line.slice(4);
      if (line.startsWith('event: ')) type = line.slice(7);
      if (line.startsWith('data: ')) data += line.slice(6);
    }
    if (data) this.#tell(type, { data, lastEventId: this.#lastId });
  }

  #tell(type, more = {}) {
    const event = Object.assign(new Event(type), more);
    this.dispatchEvent(event);
    this[`on${type}`]?.(event);
  }
}
globalThis.EventSource = EventSource;
