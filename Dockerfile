# The image of a cluster installation: `docker build -t registry.example/diwan:1 .`
# Without a registry: tests/kubernetes/diwan-image.sh makes one of the same layout.

FROM node:20-bookworm-slim AS page
WORKDIR /src/ui/web
COPY ui/web/package.json ui/web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY ui/openapi.json ../
COPY ui/web ./
RUN npm run build

# Debian of the same release as in the last stage: the programs are linked against its C library.
FROM rust:1.95-bookworm AS programs
WORKDIR /src
COPY . .
COPY --from=page /src/ui/web/dist ui/web/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p diwan -p diwan-sidecar \
    && install -D -t /programs target/release/diwan target/release/diwan-metrics-collector

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=programs /programs/diwan /programs/diwan-metrics-collector /
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/diwan"]
