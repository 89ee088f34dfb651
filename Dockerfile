# The image of one of our binaries. The build context is a folder that holds the
# static binary and ca-certificates.crt; `make images` prepares it. By hand:
#
#   buildah build --build-arg BINARY=visnyk-relay -t visnyk-relay FOLDER
ARG BINARY=visnyk-relay

FROM scratch AS base
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# By number: there is no /etc/passwd, and runAsNonRoot wants to see that it is not 0.
USER 65532:65532
# glibc keeps what was freed in an arena of each thread that had it, and bodies of megabytes pass through many threads:
# docs/decisions/2026-11-27-one-arena.md.
ENV MALLOC_ARENA_MAX=1

# An entry point cannot hold a variable, so each binary has a stage of its own.
FROM base AS visnyk-relay
COPY visnyk-relay /visnyk-relay
ENTRYPOINT ["/visnyk-relay"]

FROM base AS visnyk-collector
COPY visnyk-collector /visnyk-collector
ENTRYPOINT ["/visnyk-collector"]

FROM base AS visnyk-operator
COPY visnyk-operator /visnyk-operator
ENTRYPOINT ["/visnyk-operator"]

FROM ${BINARY}
