# The bases of this machine's images, in the place of the public Node image: Debian's libraries and the Node program.
FROM scratch AS base
ADD base.tar /
COPY node /usr/local/bin/node
ENV PATH=/usr/local/bin:/usr/bin:/bin

FROM scratch AS base-shell
ADD base-shell.tar /
RUN ["/bin/dash", "-c", "[ -e /bin/sh ] || ln -s dash /bin/sh"]
ENV PATH=/usr/local/bin:/usr/bin:/bin

FROM base-shell AS base-build
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/npm
COPY extra.crt /etc/ssl/extra.crt
RUN ln -s ../lib/npm/bin/npm-cli.js /usr/local/bin/npm
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/extra.crt HOME=/root
