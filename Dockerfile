# The broker as one static file, and what it needs of a system around it: nothing
# but certificates, for TLS to PostgreSQL and NATS.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) \
#                --build-arg SHA=$(git rev-parse --short HEAD) -t claudemesh/broker .
#   docker run -p 7900:7900 -v broker:/data -e NODE_ENV=development claudemesh/broker
#
# In production (the default here) it wants BROKER_ENCRYPTION_KEY; see
# deploy/ha.env.example, and deploy/compose.ha.yaml for two of them.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG SHA=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=${VERSION} -X main.gitSHA=${SHA}" \
      -o /out/broker ./cmd/broker \
    && mkdir -m 0700 -p /out/data \
    && mkdir -m 1777 -p /out/tmp

FROM scratch
ARG VERSION=dev
ARG SHA=unknown
LABEL org.opencontainers.image.title="claudemesh broker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${SHA}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/broker /broker
# A named volume that is empty takes the owner and mode of these directories.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp

ENV BROKER_PORT=7900 \
    CLAUDEMESH_DATA_DIR=/data \
    NODE_ENV=production
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 7900
STOPSIGNAL SIGTERM

# Whether the process lives. A broker whose database is away lives: to restart it
# would cut every peer and mend nothing. A load balancer asks /health/ready. The
# first start may wait a minute for another replica that migrates.
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=5 \
    CMD ["/broker", "health", "--timeout", "4s"]

ENTRYPOINT ["/broker"]
CMD ["serve"]
