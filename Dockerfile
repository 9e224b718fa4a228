# bluegreen, and the services of the example, which make a target of their own:
#
#   docker build -t bluegreen .
#   docker build -t deals --target deals --build-arg VERSION=2 .

FROM rust:1-slim-bookworm AS build
WORKDIR /src
# The dependencies by themselves, with empty sources: this layer stays until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
COPY examples/deals/Cargo.toml examples/deals/
RUN mkdir -p src examples/deals/src tests/it benches/measure \
 && for main in src/main.rs examples/deals/src/main.rs tests/it/main.rs benches/measure/main.rs benches/micro.rs; do echo 'fn main() {}' > $main; done \
 && touch src/lib.rs \
 && cargo build --release --locked
COPY src src
COPY examples/deals examples/deals
# cargo goes by the files' dates, and theirs are older than the empty ones'.
RUN find src examples/deals -name '*.rs' -exec touch {} + \
 && cargo build --release --locked \
 && mkdir /state

FROM debian:bookworm-slim AS deals
COPY --from=build /src/target/release/deals /usr/local/bin/
USER nobody
ARG VERSION=dev
ENV VERSION=$VERSION
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["deals", "healthcheck"]
ENTRYPOINT ["deals"]

FROM debian:bookworm-slim AS bluegreen
# Whom `rediss://` trusts.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/bluegreen /usr/local/bin/
# A volume that is mounted here for the first time takes the owner over.
COPY --from=build --chown=nobody:nogroup /state /var/lib/bluegreen
USER nobody
ENV BLUEGREEN_CONFIG=/etc/bluegreen/bluegreen.yml \
    BLUEGREEN_LISTEN=0.0.0.0:9000 \
    BLUEGREEN_STATE_DIR=/var/lib/bluegreen
EXPOSE 9000
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["bluegreen", "healthcheck"]
ENTRYPOINT ["bluegreen"]
CMD ["serve"]
