# The image of rerankd, and with --target seed the one that fills a demonstration cluster.
#
#   docker build -t rerankd .
#   docker run --rm -p 127.0.0.1:9280:9280 -e RERANKD_CLUSTER=http://HOST:9200 rerankd
#
# `go run ./deploy/rehearse` carries this file out without a container engine. Images are pinned by tag; pin them by digest where your
# rules ask for it.

FROM rust:1.95.0-slim-bookworm AS rust

FROM golang:1.26.11-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH
WORKDIR /src
# The native libraries change seldom and take longest, so they have a layer that only their own pins can spoil.
COPY go.mod go.sum Makefile ./
COPY build build/
RUN --mount=type=cache,target=/go/pkg/mod make natives
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build make build \
    && cp -r .cache/natives/current/licenses bin/

# Fills a cluster with Debian's package descriptions. It is Debian because that is where apt-get, which knows them, comes from; the
# lists are fetched into a folder of the program's own, so that it needs no root either.
FROM debian:12.12-slim AS seed
COPY --from=build /src/bin/rerankd /usr/local/bin/rerankd
RUN install -d -o 65532 -g 65532 /var/cache/rerankd
USER 65532:65532
WORKDIR /var/cache/rerankd
ENTRYPOINT ["rerankd", "demo", "--cache", "/var/cache/rerankd"]

FROM debian:12.12-slim AS rerankd
# The C and C++ libraries that the program is linked with are in the image already; the authorities that sign clusters' certificates are not.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/bin/rerankd /usr/local/bin/rerankd
COPY LICENSE NOTICE /usr/share/doc/rerankd/
COPY --from=build /src/bin/licenses /usr/share/doc/rerankd/licenses/
# Mount a file of your own over this one for rules, credentials and models. Within a container only 0.0.0.0 can be published.
COPY deploy/rerankd.yaml /etc/rerankd/rerankd.yaml
RUN groupadd --gid 65532 rerankd \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rerankd \
    && install -d -o 65532 -g 65532 /var/lib/rerankd/models \
    && rerankd version
# Mount a volume here to keep models that are pulled: docker run -v models:/var/lib/rerankd/models rerankd model pull OWNER/NAME
ENV RERANKD_MODELS=/var/lib/rerankd/models
USER 65532:65532
EXPOSE 9280 9281
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9281 && printf 'GET /-/healthy HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 2 _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["rerankd"]
CMD ["serve", "-c", "/etc/rerankd/rerankd.yaml"]
