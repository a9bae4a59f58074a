/** What the page asks of its server. */


const LOADING_MS = 2000;

/** A request that the server refused. */
export class RefusedError extends Error {
  constructor(status, { message, code }) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * The events of a search, as they come.
 *
 * @param {object} body Of `POST /v1/searches`.
 * @param {string} key API key; empty for none.
 * @param {AbortSignal} signal Breaks off; the search of a client that goes away ends.
 * @param {() => void} onLoading Called as often as the server says that it loads its models.
 * @throws {RefusedError} The server refuses; a TypeError where it cannot be reached, an AbortError after the signal.
 */
export async function* search(body, key, signal, onLoading) {
  for (;;) {
    signal.throwIfAborted();
    const response = await fetch("/v1/searches", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization(key) },
      body: JSON.stringify(body),
      signal,
    });
    if (response.ok) return yield* events(response.body);
    const refused = await refusal(response);
    if (refused.code !== "loading") throw refused;
    onLoading();
    await new Promise((resolve) => setTimeout(resolve, LOADING_MS));
  }
}

/** Let a search end with what it has found. */
export async function end(id, key) {
  await fetch(`/v1/searches/${encodeURIComponent(id)}`, { method: "DELETE", headers: authorization(key) });
}

/** The name of the model; empty where the server does not say it yet. */
export async function modelName(key) {
  const response = await fetch("/v1/models", { headers: authorization(key) });
  return response.ok ? String((await response.json()).data?.[0]?.id ?? "") : "";
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
  }
}

async function refusal(response) {
  try {
    const { message, code } = (await response.json()).error;
    return new RefusedError(response.status, { message: String(message), code });
  } catch {
    return new RefusedError(response.status, { message: `the server answers with status ${response.status}` });
  }
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}
