#!/bin/bash
# The hub from a shell. Needs AIHUB_URL and AIHUB_KEY.
set -eu
cd "$(dirname "$0")"
ask() { curl --silent --show-error --fail-with-body --max-time 60 -H "Authorization: Bearer $AIHUB_KEY" "$@"; }

# What can be used now?
ask "$AIHUB_URL/v1/algorithms?readiness=ready" | grep --only-matching '"id":"[^"]*"'

# One picture as it is; parameters go into the query.
ask -H 'Content-Type: image/png' --data-binary @parcel.png "$AIHUB_URL/v1/algorithms/qr-and-barcode/infer"
echo

# Several algorithms on one picture; what they share is done once.
ask -F image=@parcel.png -F algorithms=qr-and-barcode,blurred-picture "$AIHUB_URL/v1/infer"
echo

# The picture with the results drawn on it.
drawn=$(mktemp)
ask -H 'Accept: image/jpeg' -H 'Content-Type: image/png' --data-binary @parcel.png --output "$drawn" \
  "$AIHUB_URL/v1/algorithms/qr-and-barcode/infer?annotate=true"
echo "drawn: $(wc -c < "$drawn") bytes of JPEG"
rm "$drawn"

# What is wrong is said with its field (curl exits with 22, so that scripts notice).
ask -H 'Content-Type: image/png' --data-binary @parcel.png \
  "$AIHUB_URL/v1/algorithms/qr-and-barcode/infer?colour=red" || echo " <- exit status $?"
