// After the build: the licences of what the page contains, in a file beside it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "../python/llmgw/admin/static/licenses.md";
/** Tools that leave lines of their own in what they build: the loader of chunks, helpers for modules. */
const BUILDERS = ["node_modules/rolldown", "node_modules/vite"];
/** In Vite's licence file, what follows is about the tool and not about what it builds. */
const OF_THE_TOOL = /^# Licenses of bundled dependencies$|^end of terms and conditions$/m;
const HEAD = `# Licences

The console of llmgw is licensed under the Apache License 2.0, as llmgw is. It is built from the packages
below, each under its own licence.
`;

interface Package {
  version: string;
  license: string;
  dev?: boolean;
}

/** The text of a package's licence files. */
function licenceOf(folder: string): string {
  const files = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  if (files.length === 0) throw new Error(`no licence file in ${folder}`);
  const texts = files.sort().map((name) => readFileSync(join(folder, name), "utf-8"));
  return texts.map((text) => (text.split(OF_THE_TOOL)[0] ?? "").trim()).join("\n\n");
}

const lock: { packages: Record<string, Package> } = JSON.parse(readFileSync("package-lock.json", "utf-8"));
const parts = Object.entries(lock.packages)
  .filter(([folder, { dev }]) => BUILDERS.includes(folder) || (folder !== "" && dev !== true))
  .map(([folder, { version, license }]) => {
    const name = folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);
    return `## ${name} ${version} (${license})\n\n\`\`\`text\n${licenceOf(folder)}\n\`\`\`\n`;
  });
writeFileSync(FILE, [HEAD, ...parts].join("\n"));
