# The image of a node, its validator client and the simulated chain: one program. usage: docker build -t aequa-local:latest .
#
# Build arguments: BUILD_TAGS and CGO_ENABLED are taken and change nothing (all parts are always built); VERSION and REVISION label the
# image; SOURCE_DATE_EPOCH is the time stamp of its files, so that the same packages give the same files.
FROM debian:bookworm-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      build-essential cmake ninja-build pkg-config ca-certificates python3-pip \
      libsecp256k1-dev libsodium-dev libssl-dev libuv1-dev libcurl4-openssl-dev \
      libprotobuf-c-dev protobuf-c-compiler libsqlite3-dev libseccomp-dev libutf8proc-dev libcmocka-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Before the sources: the pinned ones change rarely.
COPY tools/fetch-deps tools/deps.sha256 tools/requirements-deps.txt tools/
RUN tools/fetch-deps build/deps
COPY . .
ARG BUILD_TAGS=
ARG CGO_ENABLED=
ARG REVISION=unknown
ARG SOURCE_DATE_EPOCH=0
RUN cmake --preset release -DCMAKE_C_FLAGS="-ffile-prefix-map=/src=. -DAQ_GIT_HASH='\"${REVISION}\"'" \
    && ninja -C build/release aequa \
    && strip build/release/bin/aequa
# Folders that a volume takes its owner from; the cluster's are for `create cluster` with a volume for each node.
RUN deploy/image/collect build/release/bin/aequa /out \
    && mkdir -p /own/data && for i in $(seq 0 19); do mkdir -p "/own/cluster/node$i/validator_keys"; done \
    && find /out /own -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="aequa" \
      org.opencontainers.image.description="Distributed-validator node for Ethereum" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /own/ /
WORKDIR /opt/aequa
USER 65532:65532
EXPOSE 4600 4620 3610
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/aequa", "health"]
ENTRYPOINT ["/usr/local/bin/aequa"]
CMD ["--validator-api", "0.0.0.0:4600", "--monitoring", "0.0.0.0:4620"]
