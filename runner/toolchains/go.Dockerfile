# What a REPL of a template with `"toolchain": "go"` runs in; the runner is added by ../Dockerfile.
FROM docker.io/library/node:24-trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends golang-go && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
