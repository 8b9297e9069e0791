# The foreign ends of the cluster's tests: a client that sends (load.ts) and a next hop that remembers (sink.ts).
# The context is node_modules.
ARG BASE
FROM ${BASE}
COPY smtp-server /peers/node_modules/smtp-server
COPY nodemailer /peers/node_modules/nodemailer
COPY punycode.js /peers/node_modules/punycode.js
COPY --from=peers sink.ts load.ts /peers/
WORKDIR /peers
USER 10001:10001
EXPOSE 2525 8080
ENTRYPOINT ["node"]
CMD ["sink.ts"]
