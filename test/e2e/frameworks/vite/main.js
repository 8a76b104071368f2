import { message } from "./message.js";

const heading = document.querySelector("h1");
heading.textContent = message;
import.meta.hot.accept("./message.js", (changed) => (heading.textContent = changed.message));
