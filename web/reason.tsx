import { adviceFor } from "./advice.ts";

/** Why something went wrong, and what to do about it. */
export function Reason({ text }: { readonly text: string }) {
  const advice = adviceFor(text);
  return (
    <>
      {text}
      {advice && <span class="advice">{advice}</span>}
    </>
  );
}
