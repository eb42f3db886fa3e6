import { render } from "preact";
import { resume } from "./api/session.ts";
import { Start } from "./app.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/ui.css";

const root = document.getElementById("app");
if (root !== null) render(<Start resume={resume} />, root);
