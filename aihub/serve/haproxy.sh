#!/bin/sh
# Ray renders HAProxy's configuration and leaves some things unsaid. This stands in for the binary, says them in the rendered
# file, and becomes the real HAProxy:
# - Statistics and metrics listen on loopback, not on all interfaces.
# - Who has not sent the head of a request in time is let go. Without this `timeout client` counts, which is an hour and
#   begins anew with each byte: connections that say nothing would keep everybody else out.
# - WebSockets may be silent for longer than a caller with a body: the hub itself closes idle ones.
# - It starts although every connection could want a second one to the hub and there are not files enough for all of those:
#   most connections are silent, and where files run out the next caller waits.
# - The hub is told who calls. What callers put into X-Forwarded-For themselves stands before it and is not believed.
for argument; do
  case "$argument" in
    *.cfg) [ -f "$argument" ] && ! grep -q 'option forwardfor' "$argument" && sed -i -E \
      -e 's/^([[:space:]]*)global[[:space:]]*$/&\n\1    no strict-limits/' \
      -e 's/^([[:space:]]*bind )\*?:([0-9]+)$/\1127.0.0.1:\2/' \
      -e "s/^([[:space:]]*)timeout client .*/&\n\1timeout http-request ${AIHUB_HAPROXY_HEAD_S}s\n\1timeout tunnel 3600s\n\1option forwardfor/" \
      "$argument" ;;
  esac
done
exec "$AIHUB_HAPROXY_BINARY" "$@"
