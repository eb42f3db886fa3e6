import type { JSX } from "preact";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Page } from "../../ui/basics.tsx";

export default function Overview(): JSX.Element {
  return <Page title={textsOf(SHELL).pages.overview}>…</Page>;
}
