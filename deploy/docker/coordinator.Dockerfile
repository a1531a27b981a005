# The coordinator: docker build -f deploy/docker/coordinator.Dockerfile -t atelier/coordinator .
ARG RUST=1.95-bookworm
ARG DEBIAN=bookworm-slim

FROM rust:${RUST} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p atelier-coordinator --bin atelier-coordinator && \
    cp target/release/atelier-coordinator /usr/local/bin/

FROM debian:${DEBIAN}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atelier-coordinator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# Certificates for S3 and PostgreSQL; the distribution keeps their newest.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/atelier-coordinator /usr/local/bin/
COPY LICENSE NOTICE /usr/share/doc/atelier/
USER 65532:65532
ENV ATELIER_LISTEN=0.0.0.0:8700 ATELIER_LOG_FORMAT=json
EXPOSE 8700
# It answers 200 while its loops turn. No client is installed for this: the shell can ask by itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8700; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["/usr/local/bin/atelier-coordinator"]
CMD ["serve"]
