# What a REPL of a template with `"toolchain": "c"` runs in; the runner is added by ../Dockerfile.
FROM docker.io/library/node:24-trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
