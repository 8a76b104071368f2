import type { ComponentChildren } from "preact";

interface NoticeProps {
  readonly kind: "error" | "warning" | "info";
  readonly children: ComponentChildren;
}

/** Something to know, which screen readers say at once. */
export function Notice({ kind, children }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </div>
  );
}
