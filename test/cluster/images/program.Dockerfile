# One static program in an image without a system: CoreDNS, metrics-server, the pause program.
FROM scratch
ARG PROGRAM
COPY ${PROGRAM} /program
USER 10001:10001
ENTRYPOINT ["/program"]
