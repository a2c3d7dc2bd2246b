// Where the ops page begins.

import { render } from "preact";
import "../kit/style.css";
import "./ops.css";
import { App } from "./app.tsx";

const root = document.getElementById("root");
if (root !== null) render(<App />, root);
