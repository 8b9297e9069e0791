# The ends of the cluster's tests: clients that send and next hops that remember, foreign ones (load.ts, sink.ts) and those of
# test/faults (ledger-load.ts, ledger-sink.ts). They lie as in the tree. The context is node_modules.
ARG BASE
FROM ${BASE}
COPY smtp-server /peers/node_modules/smtp-server
COPY nodemailer /peers/node_modules/nodemailer
COPY punycode.js /peers/node_modules/punycode.js
COPY --from=faults . /peers/test/faults/
COPY --from=peers . /peers/test/cluster/images/peers/
WORKDIR /peers/test/cluster/images/peers
USER 10001:10001
EXPOSE 2525 8080
ENTRYPOINT ["node"]
CMD ["sink.ts"]
