# What a REPL of a template with `"toolchain": "java"` runs in; the runner is added by ../Dockerfile.
FROM docker.io/library/node:24-trixie-slim
# Its packages fail where the folder of manuals was left out.
RUN mkdir -p /usr/share/man/man1 && apt-get update \
 && apt-get install -y --no-install-recommends openjdk-21-jdk-headless && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
