// Files that need a token: they are fetched like everything else, and handed to the browser to keep.
import { ApiError, open } from "./api.js";

/** @param {string} path @param {string} name - under which it is kept */
export async function download(path, name) {
  const answer = await open(path, { headers: { Accept: "*/*" } });
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    throw new ApiError({ status: answer.status, code: told?.error_code ?? "DOWNLOAD", detail: told?.detail ?? `The server answered ${answer.status}.` });
  }
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await answer.blob()), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
