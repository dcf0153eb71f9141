# The Countersign image: `docker build -t countersign .`

FROM rust:1-bookworm AS build
WORKDIR /build

# The dependencies only, in a layer that is cached until one of these two files changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it \
 && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs \
 && touch src/lib.rs \
 && cargo build --profile dist --locked

# Touched to be newer than the layer above, whatever their times are; otherwise cargo would keep what it built there.
COPY . .
RUN touch src/main.rs src/lib.rs \
 && cargo build --profile dist --locked

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/countersign
COPY --from=build /build/target/dist/countersign /usr/local/bin/

# The only place that is written to, and only with SQLite, whose default path is relative.
WORKDIR /var/lib/countersign
VOLUME /var/lib/countersign

# Loopback would only be reachable inside the container. Which ports others can reach depends on what you publish.
ENV COUNTERSIGN__SERVER__LISTEN=0.0.0.0:8080 \
    COUNTERSIGN__ADMIN__LISTEN=0.0.0.0:8081
EXPOSE 8080 8081

USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["countersign", "healthcheck"]
ENTRYPOINT ["countersign"]
CMD ["serve"]
