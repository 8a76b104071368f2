import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const key = "devex-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const kept = localStorage.getItem(key);

/** What is shown now: the person's choice, else the system's. */
export const theme = signal<Theme>(kept === "light" || kept === "dark" ? kept : system.matches ? "dark" : "light");

system.addEventListener("change", ({ matches }) => {
  if (!localStorage.getItem(key)) theme.value = matches ? "dark" : "light";
});
effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function ThemeButton() {
  const other = theme.value === "dark" ? "light" : "dark";
  const choose = () => {
    theme.value = other;
    localStorage.setItem(key, other);
  };
  return (
    <button type="button" class="quiet" onClick={choose} aria-label={`Use the ${other} colours`}>
      {other === "dark" ? "Dark" : "Light"}
    </button>
  );
}
