# The command line client: docker build -f deploy/docker/cli.Dockerfile -t atelier/cli .
ARG RUST=1.95-bookworm
ARG DEBIAN=bookworm-slim

FROM rust:${RUST} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p atelier-cli --bin atelier && \
    cp target/release/atelier /usr/local/bin/

FROM debian:${DEBIAN}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atelier" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# Certificates for a farm behind TLS.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/atelier /usr/local/bin/
COPY LICENSE NOTICE /usr/share/doc/atelier/
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/atelier"]
CMD ["--help"]
