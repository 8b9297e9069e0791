# A NATS server for development clusters; production brings its own. The context is the folder of the program.
FROM scratch
ARG PROGRAM=nats-server
COPY ${PROGRAM} /nats-server
USER 10001:10001
EXPOSE 4222 6222 8222
ENTRYPOINT ["/nats-server"]
