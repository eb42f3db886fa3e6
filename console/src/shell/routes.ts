import type { IconName } from "../ui/icons.tsx";

export type PageName =
  | "overview"
  | "mine"
  | "playground"
  | "models"
  | "keys"
  | "projects"
  | "requests"
  | "usage"
  | "system";

export interface Place {
  name: PageName;
  /** Where the page is; pages below it (details) belong to it too. */
  path: string;
  icon: IconName;
}

const ROOT = "/console";

/** In the order of the navigation. */
const ADMIN_PLACES: readonly Place[] = [
  { name: "overview", path: `${ROOT}/`, icon: "overview" },
  { name: "playground", path: `${ROOT}/playground`, icon: "playground" },
  { name: "models", path: `${ROOT}/models`, icon: "models" },
  { name: "keys", path: `${ROOT}/keys`, icon: "keys" },
  { name: "projects", path: `${ROOT}/projects`, icon: "projects" },
  { name: "requests", path: `${ROOT}/requests`, icon: "requests" },
  { name: "usage", path: `${ROOT}/usage`, icon: "usage" },
  { name: "system", path: `${ROOT}/system`, icon: "system" },
];

const MODEL_KEY_PLACES: readonly Place[] = [
  { name: "mine", path: `${ROOT}/`, icon: "usage" },
  { name: "playground", path: `${ROOT}/playground`, icon: "playground" },
];

export function placesOf(isAdmin: boolean): readonly Place[] {
  return isAdmin ? ADMIN_PLACES : MODEL_KEY_PLACES;
}

/** Whether an address belongs to a page. */
export function isAt(place: Place, path: string): boolean {
  const bare = path.replace(/\/$/, "");
  if (place.path === `${ROOT}/`) return bare === ROOT;
  return bare === place.path || bare.startsWith(`${place.path}/`);
}
