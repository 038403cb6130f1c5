// Writes public/licenses.txt: the licences of the libraries that the page is made of, which they ask
// to be passed on. Run after their versions have changed.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("..", import.meta.url);
const { dependencies } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
const parts = ["The web page of minimax contains these libraries.\n"];
for (const name of Object.keys(dependencies).sort()) {
  const folder = new URL(`node_modules/${name}/`, root);
  const { version, license } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence file`);
  parts.push(`${"=".repeat(80)}\n${name} ${version} (${license})\n\n${readFileSync(new URL(file, folder), "utf8").trim()}\n`);
}
writeFileSync(new URL("public/licenses.txt", root), parts.join("\n"));
