import type { Picture } from "./conversation.ts";

/** A file may be this large; in base64 it takes a third more, and the gateway takes 32 MiB by default. */
export const MOST_BYTES = 20 * 1024 * 1024;

export type Refused = { name: string; why: "notAnImage" | "tooLarge" };

/** Files as pictures of a message; what is none, or too large, is refused. */
export async function picturesOf(files: readonly File[]): Promise<{ taken: Picture[]; refused: Refused[] }> {
  const taken: Picture[] = [];
  const refused: Refused[] = [];
  for (const file of files) {
    if (!file.type.startsWith("image/")) refused.push({ name: file.name, why: "notAnImage" });
    else if (file.size > MOST_BYTES) refused.push({ name: file.name, why: "tooLarge" });
    else taken.push({ name: file.name, url: await dataUrl(file) });
  }
  return { taken, refused };
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error(file.name));
    reader.readAsDataURL(file);
  });
}

/** Whether a text is an address that a provider can load. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\/\S+$/i.test(text) && URL.canParse(text);
}
