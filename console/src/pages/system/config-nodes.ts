/** A config as a tree that can be searched. No DOM here. */
import { isObject, type Json } from "../../lib/json.ts";
import { isListOfTables, tomlValue } from "../../lib/toml.ts";

export interface Leaf {
  /** Such as `models[0].upstream`, as the faults of a config name it. */
  path: string;
  name: string;
  /** As TOML has it; null: it is not set. */
  text: string | null;
}

export interface Branch {
  path: string;
  name: string;
  /** What an entry of a list is called, such as a model's id; null: by its number alone. */
  title: string | null;
  /** Of a list of tables: how many. */
  isList: boolean;
  branches: Branch[];
  leaves: Leaf[];
}

export function treeOf(config: Json): Branch {
  return branchOf("", "", config, null, false);
}

function branchOf(path: string, name: string, table: Json, title: string | null, isList: boolean): Branch {
  const branch: Branch = { path, name, title, isList, branches: [], leaves: [] };
  for (const [member, value] of Object.entries(table)) {
    // A list's entries are called `[0]`, and their path has no dot before that.
    const place = path === "" || isList ? `${path}${member}` : `${path}.${member}`;
    if (isObject(value) && Object.keys(value).length > 0) {
      branch.branches.push(branchOf(place, member, value, titleOf(value), false));
    } else if (isListOfTables(value)) {
      const entries = Object.fromEntries(value.map((each, index) => [`[${index}]`, each]));
      branch.branches.push(branchOf(place, member, entries, null, true));
    } else {
      const text = value === null || value === undefined ? null : tomlValue(value);
      branch.leaves.push({ path: place, name: member, text });
    }
  }
  return branch;
}

function titleOf(table: Json): string | null {
  const name = table["id"] ?? table["upstream"];
  return typeof name === "string" ? name : null;
}

/** How many values it has. */
export function sizeOf(branch: Branch): number {
  return branch.branches.reduce((sum, each) => sum + sizeOf(each), branch.leaves.length);
}

/** Only what has this text in its path, in its value, or in the name of a table that it is in. */
export function found(branch: Branch, text: string): Branch {
  const wanted = text.trim().toLowerCase();
  const has = (value: string | null): boolean => value?.toLowerCase().includes(wanted) === true;
  if (has(branch.title)) return branch;
  return {
    ...branch,
    leaves: branch.leaves.filter((leaf) => has(leaf.path) || has(leaf.text)),
    branches: branch.branches.map((each) => found(each, text)).filter((each) => sizeOf(each) > 0),
  };
}
