# Traffic control for the network of a node's container (deploy/testnet/tools/netem.sh).
FROM debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends iproute2 iptables \
    && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGKILL
CMD ["sleep", "infinity"]
