// Checks the built page: its size, that a strict Content-Security-Policy holds, and that nothing in
// it is fetched from elsewhere.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** Bytes of all files compressed, without the one that draws maths: it is loaded when maths is shown. */
const limit = 300_000;
const lazy = "assets/math.js";
const dist = fileURLToPath(new URL("../dist", import.meta.url));

const files = readdirSync(dist, { recursive: true })
  .map(String)
  .filter((file) => statSync(join(dist, file)).isFile())
  .sort();
const faults = [];
let size = 0;
for (const file of files) {
  const bytes = readFileSync(join(dist, file));
  if (file !== lazy) size += gzipSync(bytes, { level: 9 }).length;
  const text = bytes.toString("utf8");
  if (file.endsWith(".html")) checkHtml(file, text);
  if (file.endsWith(".css")) refuse(file, text, /@import|url\(\s*["']?(?:https?:|\/\/|data:)/, "loads from elsewhere");
  if (file.endsWith(".js")) {
    refuse(file, text, /(?:fetch|import|Worker|EventSource|WebSocket|sendBeacon)\(\s*["'`](?:https?:|wss?:|\/\/)/, "calls elsewhere");
    refuse(file, text, /\beval\(|new Function\(/, "makes code of text, which the policy forbids");
  }
}
if (size > limit) faults.push(`the page is ${size} bytes compressed, expected at most ${limit}`);
for (const fault of faults) console.error(fault);
console.log(`web/dist: ${files.length} files, ${size} bytes compressed (limit ${limit}, ${lazy} not counted)`);
process.exit(faults.length > 0 ? 1 : 0);

function checkHtml(file, text) {
  refuse(file, text, /<script(?![^>]*\ssrc=)/, "has an inline script");
  refuse(file, text, /<style|\sstyle=/, "has an inline style");
  refuse(file, text, /<[^>]+\son\w+=/, "has an inline handler");
  refuse(file, text, /\s(?:src|href|action)=["']?(?:https?:|\/\/|data:|javascript:)/, "names something elsewhere");
}

function refuse(file, text, pattern, why) {
  const found = pattern.exec(text);
  if (found) faults.push(`${file} ${why}: ${text.slice(found.index, found.index + 80)}`);
}
