/** An account as the gateway's log calls it; `null`: the upstream has one. */
export function accountName(upstream: string, account: number | null): string {
  return account === null ? upstream : `${upstream}#${account}`;
}
