import manifest from "../package.json" with { type: "json" };

/** Of this code, as its changelog names it; a build of it is named by BUILD_ID. */
export const { version } = manifest;
