#!/bin/sh
# Ray renders HAProxy's statistics and metrics listeners on all interfaces. This stands in for the binary, binds them to
# loopback in the rendered file, and becomes the real HAProxy.
for argument; do
  case "$argument" in
    *.cfg) [ -f "$argument" ] && sed -i -E 's/^([[:space:]]*bind )\*?:([0-9]+)$/\1127.0.0.1:\2/' "$argument" ;;
  esac
done
exec "$AIHUB_HAPROXY_BINARY" "$@"
