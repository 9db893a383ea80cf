#!/bin/sh
# Fetch the assets of /docs, /redoc and the console into vendor/, unmodified, at pinned versions, and check them.
# Needs npm. To take a newer version: change version and checksum here, run it, look at the pages.
set -eu

SWAGGER_UI=5.35.0
SWAGGER_UI_SHA256=1b8e891893404ea4c3558b6a87e2a3e494e7eedba41168c2ece5800a391a6ea6
REDOC=2.5.4
REDOC_SHA256=44922df4d0eb45c1b066c09ec251e6bd9bd7ded16bc69e87613337b9d911a56e
PREACT=11.2.0
PREACT_SHA256=3c4456766bd32b6b534d52bf4e9c2a29b33e7eedf6e96ed479300ba1a7888ebf
HTM=3.1.1
HTM_SHA256=2425b9bee11409177bcabc7f32e319926fc6690c1701c0b257c88bdff2d5ba90
SIGNALS=2.11.4
SIGNALS_SHA256=66ea8221dd8aaa0da2365d49c3f116b071d56cfb63b2e16c072c6b4e08a928b7
SIGNALS_CORE=1.14.5
SIGNALS_CORE_SHA256=94c421ac996214c94f532fb4c43d8ede048a16df0cd9538ffb965174dbe8daba
UPLOT=1.6.32
UPLOT_SHA256=4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d

PASSWORDS=1.0.3
PASSWORDS_SHA256=cc6397462d590a9928f630a5fad374f258df7d35b7b9d0df44d23b5c04e9faa9

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

command -v npm >/dev/null || { echo "vendor.sh: npm is needed" >&2; exit 1; }

fetch() { # name version sha256
    (cd "$work" && npm pack --silent "$1@$2" >/dev/null)
    archive="$work/$(echo "$1" | sed 's,^@,,; s,/,-,')-$2.tgz"  # `npm pack` writes @scope/name as scope-name.
    if ! echo "$3  $archive" | sha256sum -c --status; then
        echo "vendor.sh: the archive of $1 $2 is not the one that was pinned" >&2
        exit 1
    fi
    mkdir -p "$work/$1"
    tar xzf "$archive" -C "$work/$1" --strip-components=1
}

fetch swagger-ui-dist "$SWAGGER_UI" "$SWAGGER_UI_SHA256"
fetch redoc "$REDOC" "$REDOC_SHA256"
fetch preact "$PREACT" "$PREACT_SHA256"
fetch htm "$HTM" "$HTM_SHA256"
fetch @preact/signals "$SIGNALS" "$SIGNALS_SHA256"
fetch @preact/signals-core "$SIGNALS_CORE" "$SIGNALS_CORE_SHA256"
fetch popular-passwords "$PASSWORDS" "$PASSWORDS_SHA256"
fetch uplot "$UPLOT" "$UPLOT_SHA256"

keep() { # folder package file...: what the pages load, and the licence
    folder="$root/vendor/$1"
    package="$work/$2"
    shift 2
    rm -rf "$folder"
    mkdir -p "$folder"
    install -m 0644 "$package/LICENSE" "$folder/"
    for file in "$@"; do
        install -m 0644 "$package/$file" "$folder/"
    done
}

keep preact preact dist/preact.mjs hooks/dist/hooks.mjs
keep htm htm dist/htm.mjs
keep signals @preact/signals dist/signals.mjs
keep signals-core @preact/signals-core dist/signals-core.mjs
# Its licence (MIT) stands in package.json; there is no file of its own.
mkdir -p "$root/vendor/popular-passwords"
for file in data.json package.json README.md; do
    install -m 0644 "$work/popular-passwords/$file" "$root/vendor/popular-passwords/"
done
keep uplot uplot dist/uPlot.esm.js dist/uPlot.min.css

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

The interactive documentation and the console must work without the internet, so what their pages load lies here.
The files are the unmodified ones of the npm packages; \`make vendor\` fetches them anew (\`scripts/vendor.sh\` pins version and checksum).

| Package | Version | Licence | Archive sha256 |
|---|---|---|---|
| swagger-ui-dist | $SWAGGER_UI | Apache-2.0 (\`swagger-ui/LICENSE\`, \`swagger-ui/NOTICE\`) | \`$SWAGGER_UI_SHA256\` |
| redoc | $REDOC | MIT (\`redoc/LICENSE\`) | \`$REDOC_SHA256\` |
| preact | $PREACT | MIT (\`preact/LICENSE\`) | \`$PREACT_SHA256\` |
| htm | $HTM | Apache-2.0 (\`htm/LICENSE\`) | \`$HTM_SHA256\` |
| @preact/signals | $SIGNALS | MIT (\`signals/LICENSE\`) | \`$SIGNALS_SHA256\` |
| @preact/signals-core | $SIGNALS_CORE | MIT (\`signals-core/LICENSE\`) | \`$SIGNALS_CORE_SHA256\` |
| uplot | $UPLOT | MIT (\`uplot/LICENSE\`) | \`$UPLOT_SHA256\` |

| File | sha256 |
|---|---|
TEXT
    (cd "$root/vendor" && find . -mindepth 2 -type f | sed 's,^\./,,' | LC_ALL=C sort | xargs sha256sum) |
        awk '{ printf "| `%s` | `%s` |\n", $2, $1 }'
} >"$root/vendor/README.md"
echo "vendor/ holds what vendor/README.md lists"
