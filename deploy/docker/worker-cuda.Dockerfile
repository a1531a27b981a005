# A worker on NVIDIA GPUs, with the default model: docker build -f deploy/docker/worker-cuda.Dockerfile -t atelier/worker .
# The driver comes from the host by the NVIDIA container toolkit; CUDA's libraries come with libtorch's wheels.
ARG RUST=1.95-bookworm
ARG DEBIAN=bookworm-slim

FROM rust:${RUST} AS build
# What deploy/setup asks for.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends python3 python3-pip g++ && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /src
# libtorch and the releases of CUDA's libraries that it was built with, by their hashes.
COPY deploy/docker/torch-cuda.txt /opt/
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: --target /opt/torch -r /opt/torch-cuda.txt
COPY . .
RUN deploy/setup
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    LIBTORCH=/opt/torch/torch cargo build --release --locked -p atelier-worker --bin atelier-worker && \
    mkdir -p /opt/atelier/bin /opt/atelier/models && \
    cp target/release/atelier-worker /opt/atelier/bin/ && \
    cp -r deploy/models/atelier-mini .deps/models/smollm2 /opt/atelier/models/ && \
    rm -rf /opt/torch/torch/include /opt/torch/torch/lib/*.a && \
    find /opt/torch -name '*.py' -delete

FROM debian:${DEBIAN}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atelier-worker" \
      org.opencontainers.image.description="with CUDA 13" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# Certificates for S3; libtorch is linked against the C++ library.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates libstdc++6 && \
    rm -rf /var/lib/apt/lists/*
# libtorch finds CUDA's libraries beside it, as pip laid them out.
COPY --from=build /opt/torch /opt/torch
COPY --from=build /opt/atelier /opt/atelier
COPY LICENSE NOTICE /usr/share/doc/atelier/
USER 65532:65532
ENV LD_LIBRARY_PATH=/opt/torch/torch/lib \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    ATELIER_DEVICE=cuda:0 \
    ATELIER_MODEL=/opt/atelier/models/atelier-mini \
    ATELIER_LANGUAGE=/opt/atelier/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \
    ATELIER_ADMIN_LISTEN=0.0.0.0:9700 ATELIER_LOG_FORMAT=json \
    OMP_WAIT_POLICY=passive
EXPOSE 9700
HEALTHCHECK --interval=10s --timeout=5s --start-period=900s --retries=6 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9700; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["/opt/atelier/bin/atelier-worker"]
