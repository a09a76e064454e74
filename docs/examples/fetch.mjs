// The hub from JavaScript: Node 20 or newer, Deno, Bun, or a page in a browser. Needs AIHUB_URL and AIHUB_KEY.

export class Hub {
  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  // An answer of the API; throws an Error with the fields of the problem.
  async ask(path, { seconds = 30, ...options } = {}) {
    const answer = await fetch(this.url + path, {
      ...options,
      headers: {
        Authorization: `Bearer ${this.key}`,
        "X-Request-Timeout-Seconds": String(seconds),
        ...options.headers,
      },
      signal: AbortSignal.timeout((seconds + 5) * 1000),
    });
    const body = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(body.detail), body);
    return body;
  }

  // What an algorithm finds in a picture: bytes, a Blob or a File.
  async infer(algorithm, picture, params = {}) {
    const query = new URLSearchParams({ params: JSON.stringify(params) });
    const { results } = await this.ask(`/v1/algorithms/${algorithm}/infer?${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: picture,
    });
    return results[0];
  }
}

export async function demonstrate(hub, picture, print) {
  const { items } = await hub.ask("/v1/algorithms?readiness=ready");
  print(`ready: ${items.map((algorithm) => algorithm.id).join(", ")}`);
  const { found } = await hub.infer("qr-and-barcode", picture);
  for (const { text, quad } of found.codes) print(`code "${text}" at ${quad[0]}`);
  try {
    await hub.infer("qr-and-barcode", picture, { colour: "red" });
  } catch (problem) {
    print(`refused: ${problem.status} ${problem.code}: ${problem.field}`);
  }
}

if (globalThis.process?.argv[1]?.endsWith("fetch.mjs")) {
  const { readFile } = await import("node:fs/promises");
  const hub = new Hub(process.env.AIHUB_URL, process.env.AIHUB_KEY);
  await demonstrate(hub, await readFile(new URL("parcel.png", import.meta.url)), console.log);
}
