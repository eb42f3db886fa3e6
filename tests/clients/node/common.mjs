// What every Node client shares: tasks come as JSON lines on stdin, what was seen goes out the same way.
import { createInterface } from "node:readline";

export const baseURL = process.env.LLMGW_BASE_URL;

export function blank(task) {
  return {
    name: task.name, text: "", reasoning: "", tool_calls: [], finish_reason: null, usage: null, error: null,
  };
}

export async function eachTask(run) {
  for await (const line of createInterface({ input: process.stdin })) {
    const seen = await run(JSON.parse(line));
    process.stdout.write(JSON.stringify(seen) + "\n");
  }
}
