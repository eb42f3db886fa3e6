import type { JSX } from "preact";
import { useRoute } from "preact-iso";
import { ModelPage } from "./details.tsx";
import { ModelList } from "./list.tsx";
import "./page.css";

/** The models of the config and its upstreams, and one model at `/console/models/ID`, whose id may have slashes. */
export default function Models(): JSX.Element {
  const { params } = useRoute();
  const id = params["id"];
  return id === undefined || id === "" ? <ModelList /> : <ModelPage key={id} id={id} />;
}
