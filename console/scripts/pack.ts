// After the build: a compressed copy of each file, and how much the first page weighs over the wire.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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

/** Of Vite's manifest: one file of scripts, and what comes with it. */
interface Chunk {
  file: string;
  css?: string[];
  imports?: string[];
  isDynamicEntry?: boolean;
}

const MANIFEST = join(FOLDER, ".vite", "manifest.json");
const chunks: Record<string, Chunk> = JSON.parse(readFileSync(MANIFEST, "utf-8"));
rmSync(join(FOLDER, ".vite"), { recursive: true });

/** The files that a browser loads for a chunk, those of the chunks that it imports too. */
function filesOf(name: string, seen = new Set<string>()): string[] {
  const chunk = chunks[name];
  if (chunk === undefined || seen.has(name)) return [];
  seen.add(name);
  return [chunk.file, ...(chunk.css ?? []), ...(chunk.imports ?? []).flatMap((each) => filesOf(each, seen))];
}

function weightBytes(files: Iterable<string>): number {
  return [...files].reduce((sum, name) => sum + sentBytes(join(FOLDER, name)), 0);
}

const html = readFileSync(join(FOLDER, "index.html"), "utf-8");
const named = [...html.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map((match) => match[1] ?? "");
const shell = ["index.html", ...named, ...filesOf("index.html")];
// Any page may be the first one: the shell, and what it loads for that page.
const pages = Object.keys(chunks).filter((name) => chunks[name]?.isDynamicEntry);
const loads = [shell, ...pages.map((page) => [...shell, ...filesOf(page)])].map((files) => new Set(files));
const firstPage = Math.max(...loads.map(weightBytes));
console.log(`    first page: ${Math.ceil(firstPage / 1024)} KiB over the wire, at most`);
if (firstPage > FIRST_PAGE_LIMIT_BYTES) {
  console.error(`The first page weighs ${firstPage} bytes; ${FIRST_PAGE_LIMIT_BYTES} are allowed.`);
  process.exitCode = 1;
}
