#!/bin/sh
# Check the console's types against the OpenAPI document: the modules as they are served, without a build.
#
#   sh scripts/console/check.sh            demand it: fail where Node.js or its packages are missing
#   sh scripts/console/check.sh if-node    do it where Node.js is; say loudly that it was not done where it is not
#   sh scripts/console/check.sh generate   write the types anew from docs/reference/openapi.json, where Node.js is
set -eu
cd "$(dirname "$0")"

mode=${1:-demand}
document=../../docs/reference/openapi.json
types=api.d.ts

missing() {
    if [ "$mode" = demand ]; then
        echo "console: $1" >&2
        exit 1
    fi
    echo "console: TYPES WERE NOT CHECKED: $1" >&2
    exit 0
}

command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || missing "Node.js 20 or newer with npm is needed (Debian: apt install nodejs npm)."

mark=$(cksum <package-lock.json)
if [ "$(cat node_modules/.installed 2>/dev/null)" != "$mark" ]; then
    npm ci --silent --ignore-scripts >/dev/null 2>&1 || missing "the packages of scripts/console/package-lock.json could not be fetched."
    echo "$mark" >node_modules/.installed
fi

write() { # file: the document's types, from its path alone
    node_modules/.bin/openapi-typescript "$document" --output "$1" >/dev/null 2>&1
}

if [ "$mode" = generate ]; then
    write "$types"
    exit 0
fi
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT INT TERM
write "$fresh.ts"
mv "$fresh.ts" "$fresh"
cmp -s "$fresh" "$types" || {
    echo "console: scripts/console/api.d.ts is not what docs/reference/openapi.json gives; run make docs" >&2
    exit 1
}
node_modules/.bin/tsc --project .
