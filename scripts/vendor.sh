#!/bin/sh
# Fetch the assets of /docs and /redoc into vendor/, unmodified, at pinned versions, and check them.
# Needs npm. To take a newer version: change version and checksum here, run it, look at both pages.
set -eu

SWAGGER_UI=5.35.0
SWAGGER_UI_SHA256=1b8e891893404ea4c3558b6a87e2a3e494e7eedba41168c2ece5800a391a6ea6
REDOC=2.5.4
REDOC_SHA256=44922df4d0eb45c1b066c09ec251e6bd9bd7ded16bc69e87613337b9d911a56e

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

command -v npm >/dev/null || { echo "vendor.sh: npm is needed" >&2; exit 1; }

fetch() { # name version sha256
    (cd "$work" && npm pack --silent "$1@$2" >/dev/null)
    archive="$work/$1-$2.tgz"
    if ! echo "$3  $archive" | sha256sum -c --status; then
        echo "vendor.sh: $1-$2.tgz is not the archive that was pinned" >&2
        exit 1
    fi
    mkdir -p "$work/$1"
    tar xzf "$archive" -C "$work/$1" --strip-components=1
}

fetch swagger-ui-dist "$SWAGGER_UI" "$SWAGGER_UI_SHA256"
fetch redoc "$REDOC" "$REDOC_SHA256"

rm -rf "$root/vendor/swagger-ui" "$root/vendor/redoc"
mkdir -p "$root/vendor/swagger-ui" "$root/vendor/redoc"
for file in LICENSE NOTICE swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css; do
    install -m 0644 "$work/swagger-ui-dist/$file" "$root/vendor/swagger-ui/"
done
install -m 0644 "$work/redoc/LICENSE" "$root/vendor/redoc/"
for file in redoc.standalone.js redoc.standalone.js.LICENSE.txt; do
    install -m 0644 "$work/redoc/bundles/$file" "$root/vendor/redoc/"
done

{
    cat <<TEXT
# Vendored assets

The interactive documentation must work without the internet, so what its pages load lies here. The files are
the unmodified ones of the npm packages; \`make vendor\` fetches them anew (\`scripts/vendor.sh\` pins version and checksum).

| Package | Version | Licence | Archive sha256 |
|---|---|---|---|
| swagger-ui-dist | $SWAGGER_UI | Apache-2.0 (\`swagger-ui/LICENSE\`, \`swagger-ui/NOTICE\`) | \`$SWAGGER_UI_SHA256\` |
| redoc | $REDOC | MIT (\`redoc/LICENSE\`) | \`$REDOC_SHA256\` |

| File | sha256 |
|---|---|
TEXT
    (cd "$root/vendor" && find redoc swagger-ui -type f | LC_ALL=C sort | xargs sha256sum) |
        awk '{ printf "| `%s` | `%s` |\n", $2, $1 }'
} >"$root/vendor/README.md"
echo "vendor/ holds swagger-ui-dist $SWAGGER_UI and redoc $REDOC"
