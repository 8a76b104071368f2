import { Terminal } from "@xterm/xterm";
import { theme, type Theme } from "../theme.tsx";

const colours: Readonly<Record<Theme, object>> = {
  dark: { background: "#14171c", foreground: "#d8dee6", cursor: "#d8dee6", selectionBackground: "#3b4a63" },
  light: {
    background: "#ffffff",
    foreground: "#1d2329",
    cursor: "#1d2329",
    selectionBackground: "#bcd4ff",
    yellow: "#7a5a00",
    brightYellow: "#7a5a00",
    white: "#5c6670",
    brightWhite: "#1d2329",
    green: "#176d2e",
    brightGreen: "#176d2e",
    cyan: "#0b6a78",
    brightCyan: "#0b6a78",
  },
};

/** The screen of one terminal, in the page's colours. */
export function makeScreen(): Terminal {
  const screen = new Terminal({
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 13,
    scrollback: 5000,
    cursorBlink: true,
    minimumContrastRatio: 4.5,
    theme: colours[theme.value],
  });
  const stop = theme.subscribe((now) => (screen.options.theme = colours[now]));
  const { dispose } = screen;
  screen.dispose = () => {
    stop();
    dispose.call(screen);
  };
  return screen;
}
