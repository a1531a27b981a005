# A worker on the CPU, with the default model: docker build -f deploy/docker/worker.Dockerfile -t atelier/worker:0.1.0-cpu .
ARG RUST=1.95-bookworm
ARG DEBIAN=bookworm-slim

FROM rust:${RUST} AS build
# What deploy/setup asks for; it pins and checks everything else.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends python3 python3-pip g++ && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN deploy/setup
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p atelier-worker --bin atelier-worker && \
    mkdir -p /opt/atelier/bin /opt/atelier/lib /opt/atelier/models && \
    cp target/release/atelier-worker /opt/atelier/bin/ && \
    cp .deps/libtorch/lib/* /opt/atelier/lib/ && rm /opt/atelier/lib/libtorch.so && \
    cp -r deploy/models/atelier-mini .deps/models/smollm2 /opt/atelier/models/

FROM debian:${DEBIAN}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atelier-worker" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# Certificates for S3; libtorch is linked against the C++ library.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates libstdc++6 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/atelier /opt/atelier
COPY LICENSE NOTICE /usr/share/doc/atelier/
USER 65532:65532
ENV ATELIER_MODEL=/opt/atelier/models/atelier-mini \
    ATELIER_LANGUAGE=/opt/atelier/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \
    ATELIER_ADMIN_LISTEN=0.0.0.0:9700 ATELIER_LOG_FORMAT=json \
    OMP_WAIT_POLICY=passive
EXPOSE 9700
HEALTHCHECK --interval=10s --timeout=5s --start-period=900s --retries=6 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9700; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3 | grep -q ' 200 '"]
# The binary looks for libtorch in ../lib.
ENTRYPOINT ["/opt/atelier/bin/atelier-worker"]
