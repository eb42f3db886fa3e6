/** The keys of a project. */
export function keysPath(project: { name: string }): string {
  return `/console/keys?${new URLSearchParams({ project: project.name })}`;
}
