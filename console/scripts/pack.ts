// After the build: a compressed copy of each file, and how much the first page weighs over the wire.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";

const FOLDER = "../python/llmgw/admin/static";
const FIRST_PAGE_LIMIT_BYTES = 150 * 1024;
const COMPRESSED = new Set([".html", ".js", ".css", ".svg"]);

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

for (const path of filesIn(FOLDER)) {
  if (!COMPRESSED.has(extname(path))) continue;
  const packed = gzipSync(readFileSync(path), { level: 9 });
  if (packed.length < statSync(path).size) writeFileSync(`${path}.gz`, packed);
}

/** Bytes that a browser is sent for a file. */
function sentBytes(path: string): number {
  return statSync(existsSync(`${path}.gz`) ? `${path}.gz` : path).size;
}

const page = readFileSync(join(FOLDER, "index.html"), "utf-8");
const named = [...page.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map((match) => match[1] ?? "");
const firstPage = ["index.html", ...named].reduce((sum, name) => sum + sentBytes(join(FOLDER, name)), 0);
if (firstPage > FIRST_PAGE_LIMIT_BYTES) {
  console.error(`The first page weighs ${firstPage} bytes; ${FIRST_PAGE_LIMIT_BYTES} are allowed.`);
  process.exitCode = 1;
}
