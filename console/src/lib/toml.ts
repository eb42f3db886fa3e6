import { isObject, type Json } from "./json.ts";

/** A config that came as JSON → TOML. What is null is left out: TOML has no such value. */
export function tomlOf(config: Json): string {
  const top: string[] = [];
  const blocks: string[] = [];
  for (const [name, value] of Object.entries(config)) {
    const place = nameOf(name);
    if (isListOfTables(value)) blocks.push(...value.map((each) => block(`[[${place}]]`, each)));
    else if (isTableOfTables(value)) {
      const below = Object.entries(value);
      blocks.push(...below.map(([each, table]) => block(`[${place}.${nameOf(each)}]`, table)));
    } else if (isObject(value)) blocks.push(block(`[${place}]`, value));
    else top.push(...line(name, value));
  }
  return [...(top.length === 0 ? [] : [top.join("\n")]), ...blocks].join("\n\n");
}

function block(heading: string, table: Json): string {
  return [heading, ...Object.entries(table).flatMap(([name, value]) => line(name, value))].join("\n");
}

function line(name: string, value: unknown): string[] {
  return value === null || value === undefined ? [] : [`${nameOf(name)} = ${tomlValue(value)}`];
}

const BARE = /^[A-Za-z0-9_-]+$/;

function nameOf(name: string): string {
  return BARE.test(name) ? name : JSON.stringify(name);
}

/** On one line, as behind an equals sign. */
export function tomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).flatMap(([name, each]) => line(name, each));
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

export function isListOfTables(value: unknown): value is Json[] {
  return Array.isArray(value) && value.length > 0 && value.every(isObject);
}

function isTableOfTables(value: unknown): value is Record<string, Json> {
  return isObject(value) && Object.keys(value).length > 0 && Object.values(value).every(isObject);
}
