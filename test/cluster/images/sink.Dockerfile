# The next hop of the cluster's tests: a foreign SMTP server that remembers what reached it. The context is node_modules.
ARG BASE
FROM ${BASE}
COPY smtp-server /sink/node_modules/smtp-server
COPY nodemailer /sink/node_modules/nodemailer
COPY punycode.js /sink/node_modules/punycode.js
COPY --from=sink sink.ts /sink/sink.ts
USER 10001:10001
EXPOSE 2525 8080
ENTRYPOINT ["node", "/sink/sink.ts"]
